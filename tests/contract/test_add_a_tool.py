"""`docs/howto/add-a-tool.md`, followed to the letter."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis

from assistant.src import tools
from assistant.src.tools.registry import announce_tool_types, tool_kinds
from assistant.tests.fakes import ScriptedBackend, calls, said
from assistant.tests.integration.conftest import delivery_of, orchestrator_of
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, Api, empty, make_settings, migrated_database, running
from service_kit.contracts.messages import IncomingMessage
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "add-a-tool.md").read_text()
FILES = dict(re.findall(r"^Create `([^`]+)`:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
ROWS = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TOOL_FILE, TEST_FILE = FILES
WHOLE_FILE, TOOL_ROW, LINK_ROW = ROWS


def test_its_unit_test_passes_in_a_copy_of_the_service(tmp_path):
    shutil.copytree(ROOT / "assistant", tmp_path / "assistant", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("service_kit", "ops", "tests", "conftest.py", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    for path, text in FILES.items():
        assert not (ROOT / path).exists()
        (tmp_path / path).write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", TEST_FILE, "-q", "-p", "no:cacheprovider"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "howto") as url:
        yield url


@pytest.fixture
def _with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The new file stands among the package's own."""
    path = tmp_path / Path(TOOL_FILE).name
    path.write_text(FILES[TOOL_FILE])
    monkeypatch.setattr(tools, "__path__", [*tools.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    tool_kinds.cache_clear()
    yield
    sys.modules.pop(f"{tools.__name__}.{path.stem}", None)
    tool_kinds.cache_clear()


@dataclass
class World:
    """The suite as far as it matters."""

    api: Api
    redis: aioredis.Redis
    secretary: dict[str, Any]
    user: dict[str, Any]

    async def answer(self, text: str) -> str:
        """The secretary's; the model throws two dice and passes on what the tool says."""
        backend = ScriptedBackend(
            calls(("throw_dice", {"count": 2})), lambda request: said(request.messages[-1].text)
        )
        settings = RestClientSettings(
            rest_service_url="http://rest_service:8000", service_api_key=SERVICE_KEY
        )
        message = IncomingMessage(id="tg:1", user_id=self.user["id"], chat_id=1, text=text)
        transport = httpx2.ASGITransport(app=self.api.app)
        async with AsyncRestClient(settings, transport=transport) as client:
            orchestrator = orchestrator_of(backend, client, self.redis)
            (reply,) = await orchestrator.handle(delivery_of(message.model_dump_json().encode()))
        return reply.text


@pytest.fixture
async def world(
    own_url: str, redis_settings: RedisSettings, redis_client: aioredis.Redis
) -> AsyncIterator[World]:
    empty(own_url)
    async with running(create_app(make_settings(own_url, redis_settings))) as api:
        secretary = await api.an_assistant("Secretary", is_secretary=True)
        yield World(api, redis_client, secretary, await api.a_user())


async def import_the_file(world: World) -> None:
    response = await world.api.post("/api/import", json.loads(WHOLE_FILE))
    assert response.status_code == 200, response.text


async def use_the_swagger_ui(world: World) -> None:
    tool = await world.api.made("/api/tools", json.loads(TOOL_ROW))
    link = LINK_ROW.replace("<id of the Secretary>", world.secretary["id"])
    await world.api.made("/api/assistant-tools", json.loads(link.replace("<id of the tool>", tool["id"])))


@pytest.mark.usefixtures("_with_the_file")
@pytest.mark.parametrize("add_rows", [import_the_file, use_the_swagger_ui])
async def test_the_secretary_throws_dice(world, add_rows):
    refused = await world.api.post("/api/tools", json.loads(TOOL_ROW))
    assert (refused.status_code, refused.json()["field"]) == (422, "tool_type")
    await announce_tool_types(world.redis)
    await add_rows(world)
    answer = json.loads(await world.answer("Throw two dice."))
    assert len(answer["throws"]) == 2
    assert answer["sum"] == sum(answer["throws"])
