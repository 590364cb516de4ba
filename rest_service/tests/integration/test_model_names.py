"""A model that nobody can answer as is stored, and the answer warns of it."""

import asyncio

import pytest

from rest_service.app import model_names
from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running
from service_kit.contracts.assistants import AssistantCreate
from service_kit.contracts.providers import MODEL_PROVIDERS_KEY, ModelProviders
from service_kit.redis import connect_blocking
from service_kit.settings import RedisSettings
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration

ROW = {"name": "Ada", "model": "nosuch/xyz", "instructions": "Hi"}
UNKNOWN = (
    "Assistant 'Ada': model 'nosuch/xyz': there is no provider 'nosuch'; known: ollama, openai. "
    "A model of 'openai' with a slash in its name is written 'openai/nosuch/xyz'."
)
NO_KEY = "Assistant 'Ada': model 'groq/llama': provider 'groq' is not set up: set GROQ_API_KEY."


@pytest.fixture
async def announced(redis_client):
    known = ModelProviders(
        default="openai",
        default_model="gpt-6-luna",
        usable=("openai", "ollama"),
        lacking={"groq": "set GROQ_API_KEY"},
    )
    await redis_client.set(MODEL_PROVIDERS_KEY, known.model_dump_json())


async def test_every_way_to_store_a_model_warns(api, announced):
    made = (await api.post("/api/assistants", ROW)).json()
    assert made["warnings"] == [UNKNOWN]
    path = f"/api/assistants/{made['id']}"
    assert (await api.put(path, ROW)).json()["warnings"] == [UNKNOWN]
    assert (await api.patch(path, {"model": "groq/llama"})).json()["warnings"] == [NO_KEY]
    assert (await api.get(path)).json()["model"] == "groq/llama", "it is stored"


async def test_fallback_models_count_too(api, announced):
    row = ROW | {"model": "default", "settings": {"fallback_models": ["ollama/llama", "groq/llama"]}}
    made = (await api.post("/api/assistants", row)).json()
    assert made["warnings"] == [NO_KEY]


@pytest.mark.parametrize("model", ["default", "gpt-6-luna", "openai/a/b", "ollama/llama3.2:1b"])
async def test_of_a_model_that_somebody_has_nothing_is_said(api, announced, model):
    made = (await api.post("/api/assistants", ROW | {"model": model})).json()
    assert "warnings" not in made
    assert (await api.get(f"/api/assistants/{made['id']}")).json() == made


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_import_warns(api, announced, dry_run):
    path = f"/api/import?dry_run={str(dry_run).lower()}"
    result = (await api.post(path, {"assistants": [ROW]})).json()
    assert (result["created"], result["warnings"]) == (1, [UNKNOWN])


@pytest.mark.parametrize("told", [None, b"rubbish", b'{"usable": 1}'])
async def test_where_no_assistant_has_told_nobody_is_warned(api, redis_client, told):
    if told is not None:
        await redis_client.set(MODEL_PROVIDERS_KEY, told)
    made = await api.post("/api/assistants", ROW)
    assert made.status_code == 201
    assert "warnings" not in made.json()


async def test_without_redis_nobody_is_warned(empty_url):
    nowhere = RedisSettings(redis_host="127.0.0.1", redis_port=1)
    async with running(create_app(make_settings(empty_url, nowhere))) as api:
        assert (await api.post("/api/assistants", ROW)).status_code == 201


async def test_nobody_waits_long_for_a_redis_that_hangs(redis_settings, monkeypatch):
    monkeypatch.setattr(model_names, "TIMEOUT", 0.2)
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        redis = connect_blocking(
            redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port}), block=0
        )
        await redis.ping()
        line.lose_answers()
        async with asyncio.timeout(5):
            assert await model_names.ModelNames(redis).warnings([AssistantCreate(**ROW)]) == []
        await redis.aclose()
