"""People get no answers: the health page says why, the owner is told once, and once when it is over."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.core.errors import (
    AssistantError,
    ContentRefusedError,
    ContextOverflowError,
    KeyRefusedError,
    ModelUnavailableError,
    NoCreditError,
    UnknownProviderError,
)
from assistant.src.messages import trouble as trouble_module
from assistant.src.messages.owner_texts import NO_TOOLS, is_of_operator, say_mended, say_trouble
from assistant.src.messages.texts import Text
from assistant.src.messages.trouble import TOLD_PREFIX, Trouble
from assistant.src.services.rest_service import RestServiceClient
from assistant.tests.fakes import ScriptedBackend, assistant_row, said, tree_of, user_row
from assistant.tests.integration.conftest import delivery_of
from assistant.tests.standin import RestStandIn
from service_kit.contracts.messages import IncomingMessage
from service_kit.contracts.users import UserRole
from service_kit.redis import COMMAND_TIMEOUT, connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration


def about(error: AssistantError, model: str = "openai/m") -> AssistantError:
    error.model = model
    return error


def rest_of(**owner: Any) -> RestStandIn:
    root = assistant_row(is_secretary=True)
    return RestStandIn(user_row(1), user_row(2, role=UserRole.OWNER, **owner), trees=[tree_of(root)])


def told(*services: Any) -> list[str]:
    """What was said to the owner so far."""
    messages = [message for service in services for message in service.told]
    assert all((one.user_id, one.type) == (2, "notice") for one in messages)
    return [one.text for one in messages]


async def test_a_cause_is_told_once_and_its_end_once(make_service, redis_client):
    key = about(KeyRefusedError("401 Incorrect API key sk-123456789", status=401))
    backend = ScriptedBackend(key, key, key, said("ok"), said("ok"))
    service = await make_service(backend, rest_of())
    for _ in range(3):
        await service.say("Hi")
    (first,) = told(service)
    assert first == say_trouble(Text.KEY, "openai/m", "en")
    assert not any(leak in first for leak in ("sk-", "401", "Incorrect"))
    for _ in range(2):
        await service.say("Hi")
    assert told(service) == [first, say_mended(Text.KEY, "en")]


async def test_two_causes_are_told_and_one_end(make_service, redis_client):
    backend = ScriptedBackend(
        about(KeyRefusedError("401")), about(NoCreditError("402")), about(KeyRefusedError("401")), said("ok")
    )
    service = await make_service(backend, rest_of(language="ru"))
    for _ in range(4):
        await service.say("Hi")
    assert told(service) == [
        say_trouble(Text.KEY, "openai/m", "ru"),
        say_trouble(Text.NO_CREDIT, "openai/m", "ru"),
        say_mended(Text.KEY, "ru"),
    ]


async def test_replicas_tell_once(make_service, redis_client):
    failure = about(UnknownProviderError("no provider"), "nosuch/xyz")
    replicas = [await make_service(ScriptedBackend(failure, said("ok")), rest_of()) for _ in range(2)]
    for replica in replicas:
        await replica.say("Hi")
    assert told(*replicas) == [say_trouble(Text.NO_PROVIDER, "nosuch/xyz", "en")]
    for replica in replicas:
        await replica.say("Hi")
    assert told(*replicas) == [
        say_trouble(Text.NO_PROVIDER, "nosuch/xyz", "en"),
        say_mended(Text.NO_PROVIDER, "en"),
    ]


async def test_the_end_is_told_by_the_process_that_comes_after(make_service, redis_client):
    before = await make_service(ScriptedBackend(about(KeyRefusedError("401"))), rest_of())
    await before.say("Hi")
    after = await make_service(ScriptedBackend(said("ok")), rest_of())
    await after.say("Hi")
    assert told(before, after)[1:] == [say_mended(Text.KEY, "en")]


async def test_a_replica_takes_back_what_another_has_noted(make_service, monkeypatch):
    monkeypatch.setattr(trouble_module, "LOOK_EVERY", 0.0)
    well = await make_service(ScriptedBackend(said("ok")), rest_of())
    await well.say("Hi")
    ill = await make_service(ScriptedBackend(about(KeyRefusedError("401"))), rest_of())
    await ill.say("Hi")
    await well.say("Hi")
    assert told(well) == [say_mended(Text.KEY, "en")]


async def test_what_comes_and_goes_is_no_flood(make_service, redis_client):
    key = about(KeyRefusedError("401"))
    service = await make_service(ScriptedBackend(*(key, said("ok")) * 5), rest_of())
    for _ in range(10):
        await service.say("Hi")
    assert len(told(service)) == 2
    assert 0 < await redis_client.ttl(f"{TOLD_PREFIX}{Text.KEY}") <= 3600


async def test_a_provider_that_is_away_for_a_moment_is_not_told_of(make_service, monkeypatch):
    busy = about(ModelUnavailableError("503"))
    service = await make_service(ScriptedBackend(busy, busy, said("ok"), busy, busy, said("ok")), rest_of())
    for _ in range(3):
        await service.say("Hi")
    assert told(service) == []
    monkeypatch.setattr(trouble_module, "LASTING", 0.0)
    for _ in range(3):
        await service.say("Hi")
    assert told(service) == [say_trouble(Text.BUSY, "openai/m", "en"), say_mended(Text.BUSY, "en")]


async def test_the_answer_comes_first(make_service):
    service = await make_service(ScriptedBackend(about(KeyRefusedError("401"))), rest_of())
    message = IncomingMessage(id="tg:1", user_id=2, chat_id=102, text="Hi")
    replies = await service.orchestrator.handle(delivery_of(message.model_dump_json().encode()))
    assert [reply.in_reply_to for reply in replies] == ["tg:1", None]


@pytest.mark.parametrize("error", [ContextOverflowError("long"), ContentRefusedError("no")], ids=str)
async def test_what_users_can_mend_is_not_told(make_service, redis_client, error):
    service = await make_service(ScriptedBackend(about(error)), rest_of())
    await service.say("Hi")
    assert told(service) == []


async def test_without_an_owner_and_without_rest_service_the_answer_comes_all_the_same(
    make_service, redis_client
):
    service = await make_service(
        ScriptedBackend(about(KeyRefusedError("401"))),
        RestStandIn(user_row(1), trees=[tree_of(assistant_row(is_secretary=True))]),
    )
    assert "let me in" in (await service.say("Hi")).text
    service.rest.down = True
    assert "let me in" in (await service.say("Hi")).text
    assert told(service) == []
    service.rest.down = False
    service.rest.users[2] = user_row(2, role=UserRole.OWNER)
    await service.say("Hi")
    assert len(told(service)) == 1, "as soon as there is somebody to tell"


async def test_a_model_without_tools_is_told_of_though_people_get_answers(redis_client):
    rest = rest_of()
    async with rest, _client(rest) as client:
        trouble = Trouble(redis_client, RestServiceClient(client))
        first = [await trouble.record_success({"ollama/tiny"}) for _ in range(3)]
        assert [[one.text for one in told] for told in first] == [
            [say_trouble(NO_TOOLS, "ollama/tiny", "en")],
            [],
            [],
        ]
        assert await trouble.look() is None
        assert [one.text for one in await trouble.record_success()] == [say_mended(NO_TOOLS, "en")]


async def test_the_health_page_says_how_many_failed_and_why(redis_client):
    rest = rest_of()
    async with rest, _client(rest) as client:
        trouble = Trouble(redis_client, RestServiceClient(client))
        assert await trouble.look() is None
        await trouble.record_failure(Text.KEY, "openai/m")
        assert await trouble.look() == "the last answer failed: key (openai/m)"
        await trouble.record_failure(Text.TOO_SLOW, None)
        assert await trouble.look() == "the last 2 answers failed: too_slow"
        await trouble.record_success()
        assert await trouble.look() is None


async def test_an_answer_does_not_wait_for_a_redis_that_hangs(redis_settings, redis_client, monkeypatch):
    monkeypatch.setattr(trouble_module, "TIMEOUT", 0.2)
    rest = rest_of()
    async with (
        FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line,
        rest,
        _client(rest) as client,
        connect(
            redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        ) as redis,
    ):
        await redis.ping()
        line.lose_answers()
        trouble = Trouble(redis, RestServiceClient(client))
        with capture_logs() as logs:
            async with asyncio.timeout(COMMAND_TIMEOUT / 2):
                await trouble.record_failure(Text.KEY, "openai/m")
                await trouble.record_success()
    assert [line["event"] for line in logs] == ["owner_not_notified", "failures_not_cleared"]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_owner_is_told_in_plain_words(language):
    causes = [cause for cause in (*Text, NO_TOOLS) if is_of_operator(cause)]
    texts = {say_trouble(cause, "openai/m", language) for cause in causes}
    assert len(texts) == len(causes) == 8
    assert not any("{model}" in text or "{{" in text for text in texts)
    assert len(say_trouble(Text.KEY, "m" * 10_000, language)) < 400


def _client(rest: RestStandIn) -> AsyncRestClient:
    return AsyncRestClient(RestClientSettings(rest_service_url=rest.url, service_api_key="key"))
