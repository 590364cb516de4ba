from typing import Any

import pytest
import redis.asyncio as aioredis
from pydantic import ValidationError
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from assistant.src.config.providers import ProviderSettings
from assistant.src.core.providers.known import KNOWN, OPENAI
from assistant.src.core.providers.quirks import Quirks
from assistant.src.core.routing.router import ModelResolver
from assistant.src.services.providers import Providers, announce_providers, build_providers
from assistant.tests.fakes import ScriptedBackend
from service_kit.contracts.providers import MODEL_PROVIDERS_KEY, ModelProviders

KEY = {"OPENAI_API_KEY": "sk-default"}


@pytest.fixture
def environment(monkeypatch):
    """Sets the environment to these variables and no others that are read here."""

    def put(**variables: str) -> ProviderSettings:
        for name in ProviderSettings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return ProviderSettings()

    return put


def named(providers: Providers) -> set[str]:
    return set(providers.usable)


def test_a_key_opens_its_provider_and_no_other(environment):
    providers = build_providers(environment(**KEY, ANTHROPIC_API_KEY="sk-ant"))
    assert named(providers) == {"openai", "anthropic", "ollama", "lmstudio"}
    assert providers.lacking["gemini"] == "set GEMINI_API_KEY"
    assert providers.lacking["vllm"] == "set VLLM_BASE_URL"


def test_every_known_provider_can_be_set_up(environment):
    variables = {about.key_setting: "k" for about in KNOWN.values() if about.key_setting}
    variables |= {about.url_setting: "http://127.0.0.1:9/v1" for about in KNOWN.values() if about.url_setting}
    providers = build_providers(environment(**KEY, **variables))
    assert named(providers) == {*KNOWN, "openai"}
    assert providers.lacking == {}


def test_the_default_provider_may_be_missing_where_another_answers(environment):
    settings = environment(OPENAI_DEFAULT_MODEL="anthropic/claude-x", ANTHROPIC_API_KEY="k")
    assert build_providers(settings).lacking["openai"] == "set OPENAI_API_KEY"


def test_the_operators_own_providers(environment):
    entries = (
        '{"corp": {"base_url": "https://llm.corp.example/v1", "api_key": "sk-corp", "strict_tools": true},'
    )
    entries += ' "ollama": {"context_tokens": 65536}}'
    settings = environment(**KEY, MODEL_PROVIDERS=entries)
    assert "sk-corp" not in repr(settings)
    providers = build_providers(settings)
    assert providers.quirks["corp"] == Quirks(strict_tools=True)
    assert providers.quirks["ollama"].tool_choice_none is False
    assert providers.window_of("ollama", "llama3.2") == 65536


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ('{"corp": {}}', "corp.base_url is missing"),
        ('{"corp": {"base_url": "llm.corp.example"}}', "corp.base_url"),
        ('{"corp": {"base_url": "https://h/v1", "api_kye": "sk-secret"}}', "corp.api_kye"),
        ('{"corp": {"base_url": "https://h/v1", "concurrency": 0}}', "corp.concurrency"),
        ('{"Corp/x": {"base_url": "https://h/v1"}}', "Corp/x"),
        ('{"corp": {"api_key": "sk-secret"', "is not JSON"),
        ("[]", "dictionary"),
    ],
)
def test_a_wrong_entry_is_named_and_no_key_is_shown(environment, entries, complaint):
    with pytest.raises(ValidationError) as raised:
        environment(**KEY, MODEL_PROVIDERS=entries)
    (problem,) = raised.value.errors(include_input=False, include_context=False, include_url=False)
    said = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    assert complaint in said
    assert "sk-secret" not in said


@pytest.mark.parametrize(
    ("url", "quirks"),
    [
        ("https://api.openai.com/v1", OPENAI),
        ("https://corp.openai.azure.com/openai/v1", OPENAI),
        ("http://localhost:11434/v1", KNOWN["ollama"].quirks),
        ("http://host.docker.internal:11434/v1", KNOWN["ollama"].quirks),
        ("https://api.mistral.ai/v1", KNOWN["mistral"].quirks),
        ("http://127.0.0.1:8010/openai/v1", Quirks()),
    ],
)
def test_the_default_providers_quirks_are_those_of_who_is_at_its_address(environment, url, quirks):
    assert build_providers(environment(**KEY, OPENAI_BASE_URL=url)).quirks["openai"] == quirks


@pytest.mark.parametrize(
    ("provider", "model", "window"),
    [
        ("openai", "gpt-6-luna", 1_050_000),
        ("openai", "gpt-4.1-mini", 1_047_576),
        ("openai", "gpt-4o-mini", 128_000),
        ("openai", "something-else", None),
        ("ollama", "llama3.2", 4096),
        ("nobody", "m", None),
    ],
)
def test_windows(environment, provider, model, window):
    assert build_providers(environment(**KEY)).window_of(provider, model) == window


async def test_all_connections_are_closed():
    class Connected:
        open = True

        async def aclose(self) -> None:
            self.open = False

    usable: Any = {"one": Connected(), "other": Connected()}
    await Providers(usable, quirks={}, lacking={}).aclose()
    assert not any(provider.open for provider in usable.values())


async def test_rest_service_learns_which_providers_there_are_and_no_secret(environment, redis_client):
    settings = environment(
        **KEY, MODEL_PROVIDERS='{"corp": {"base_url": "http://corp/v1", "api_key": "sk-c"}}'
    )
    providers = build_providers(settings)
    resolver = ModelResolver(
        dict.fromkeys(providers.usable, ScriptedBackend()),
        default_provider="openai",
        default_model="gpt-6-luna",
        lacking=providers.lacking,
    )
    await announce_providers(redis_client, resolver.providers)
    told = await redis_client.get(MODEL_PROVIDERS_KEY)
    known = ModelProviders.model_validate_json(told)
    assert known.complaint("corp/m") is None
    assert known.complaint("groq/m") == "model 'groq/m': provider 'groq' is not set up: set GROQ_API_KEY"
    assert not any(secret in told for secret in (b"sk-default", b"sk-c", b"http"))


async def test_without_redis_providers_are_not_announced_and_the_service_starts():
    class Gone(aioredis.Redis):
        async def set(self, *_names: object) -> None:
            raise RedisConnectionError("gone")

    known = ModelProviders(default="openai", default_model="m", usable=())
    with capture_logs() as logs:
        await announce_providers(Gone(), known)
    assert [line["event"] for line in logs] == ["model_providers_not_announced"]
