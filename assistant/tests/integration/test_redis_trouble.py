"""Redis is full, or away for a while: what is known in the process is neither lost nor asked for again."""

import asyncio
import json
from uuid import uuid4

import pytest
import redis.asyncio as aioredis

from assistant.src.core.model import AssistantMessage, ModelRequest, ToolCall, ToolMessage, UserMessage
from assistant.src.core.run_context import RunTotals
from assistant.src.services.usage import PENDING
from assistant.src.storage.conversation import Conversation, ConversationStore
from assistant.src.storage.provider_threads import KnownThread, ProviderThreads
from assistant.src.storage.summary import Summary
from assistant.src.storage.turns import turn_of
from assistant.tests.fakes import (
    ScriptedBackend,
    assistant_row,
    calls,
    openai_services,
    said,
    tool_row,
    tree_of,
    user_row,
)
from assistant.tests.integration.conftest import Service, orchestrator_of
from assistant.tests.standin import RestStandIn
from service_kit.lifecycle import end_tasks
from service_kit.redis import connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings
from service_kit.testing.clock import FakeClock
from service_kit.testing.faulty_line import FaultyLine
from service_kit.testing.limited_redis import LimitedRedis

pytestmark = pytest.mark.integration


def rest() -> RestStandIn:
    root = assistant_row(is_secretary=True)
    return RestStandIn(user_row(), trees=[tree_of(root, tools={root.id: [tool_row()]})])


def client_of(rest: RestStandIn) -> AsyncRestClient:
    return AsyncRestClient(RestClientSettings(rest_service_url=rest.url, service_api_key="key"))


def asks_the_time(request: ModelRequest):
    if isinstance(request.messages[-1], ToolMessage):
        return said("It is late.")
    return calls(("current_time", {})) if "time" in request.messages[-1].text[-6:] else said("Hello")


async def test_a_full_redis_costs_no_answer_and_no_second_question(redis_with_limit: LimitedRedis):
    backend, client = ScriptedBackend(asks_the_time), redis_with_limit.client
    async with rest() as rows, client_of(rows) as to_rest:
        service = Service(orchestrator_of(backend, to_rest, client), rows)
        await redis_with_limit.fill()
        assert (await service.say("The time", message_id="tg:1")).text == "It is late."
        assert (await service.say("Hi", message_id="tg:2")).text == "Hello"
        # delivered again, for the acknowledgement was lost
        assert (await service.say("Hi", message_id="tg:2")).text == "Hello"
        assert len(backend.requests) == 3
        assert "It is late." in [message.text for message in backend.requests[2].messages]
        assert {json.loads(raw)["message_id"] for raw in await client.lrange(PENDING, 0, -1)} == {
            "tg:1",
            "tg:2",
        }
        assert "forgotten" in (await service.say("", kind="reset", message_id="tg:3")).text
        assert await client.keys("conversation*") == []


async def test_what_answers_have_cost_is_posted_while_redis_is_full(redis_with_limit: LimitedRedis):
    backend, client = ScriptedBackend(said("Hello")), redis_with_limit.client
    async with rest() as rows, client_of(rows) as to_rest:
        orchestrator = orchestrator_of(backend, to_rest, client)
        service = Service(orchestrator, rows)
        await redis_with_limit.fill()
        await service.say("Hi")
        posting = asyncio.create_task(orchestrator._usage.run())
        async with asyncio.timeout(20):
            while not rows.usage or await client.llen(PENDING):  # noqa: ASYNC110 - what is looked at is outside
                await asyncio.sleep(0.02)
        await end_tasks({posting})


@pytest.mark.parametrize("question", ["Hi", "The time"], ids=["before the turn", "before the journal"])
async def test_an_answer_in_hand_waits_for_redis(redis_client: aioredis.Redis, redis_settings, question):
    """Redis is away from the moment of the model's first answer on, for longer than its client tries."""
    host, port = redis_settings.redis_host, redis_settings.redis_port
    async with FaultyLine(host, port) as line, rest() as rows, client_of(rows) as to_rest:
        over_the_line = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})

        async def model(request: ModelRequest):
            if len(backend.requests) == 1:
                await line.close()
                asyncio.get_running_loop().call_later(
                    1.0, lambda: reopened.append(asyncio.ensure_future(line.open()))
                )
            return asks_the_time(request)

        reopened: list[asyncio.Future[None]] = []
        backend = ScriptedBackend(model)
        async with connect(over_the_line) as redis:
            service = Service(orchestrator_of(backend, to_rest, redis), rows)
            answer = (await service.say(question, message_id="tg:1")).text
        assert answer == ("Hello" if question == "Hi" else "It is late.")
        assert len(backend.requests) == (1 if question == "Hi" else 2)
        (turns,) = await redis_client.keys("conversation:*:*")
        assert await redis_client.llen(turns) == 1


async def test_an_answer_is_said_though_its_turn_cannot_be_stored(
    redis_client: aioredis.Redis, redis_settings, monkeypatch
):
    monkeypatch.setattr("assistant.src.assistants.memory.STORING", 0.1)
    host, port = redis_settings.redis_host, redis_settings.redis_port
    async with FaultyLine(host, port) as line, rest() as rows, client_of(rows) as to_rest:

        async def model(_request: ModelRequest):
            await line.close()
            return said("Hello")

        over_the_line = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with connect(over_the_line) as redis:
            service = Service(orchestrator_of(ScriptedBackend(model), to_rest, redis), rows)
            assert (await service.say("Hi")).text == "Hello"


async def test_a_full_redis_takes_what_gets_shorter_and_what_was_paid_for(redis_with_limit: LimitedRedis):
    """A summary in the place of turns, an unfinished run as a turn, how far a provider's conversation is."""
    store = ConversationStore(redis_with_limit.client, retention_s=3600)
    turns = [turn_of(f"tg:{n}", "q", (UserMessage("q"), AssistantMessage("a" * 4000))) for n in range(3)]
    for turn in turns:
        await store.append(1, "a", turn, before=Conversation(), budget=100_000)
    noted = (UserMessage("q"), AssistantMessage("", (ToolCall("c", "t", "{}"),)))
    await store.journal(1, "a", key="tg:5", asked="q", begun=(), totals=RunTotals()).note(noted)
    await redis_with_limit.fill()
    past = await store.load(1, "a", message_id="tg:6", key="tg:6", asked="q")
    assert [turn.key for turn in past.turns][-1] == "unfinished:tg:5"
    oldest = await store.load_oldest(1, "a", budget=1000)
    assert oldest is not None
    assert await store.compact(oldest, Summary("short", 3))
    threads = ProviderThreads(
        redis_with_limit.client, openai_services().threads._rest, clock=FakeClock(), retention_s=3600
    )
    known = KnownThread(uuid4(), "conv_1", 2, "digest", FakeClock().now().timestamp())
    await threads.save(1, "a", known)
    assert await threads.take(1, "a") == known


async def test_an_answer_needs_no_note_on_the_providers_conversation(redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        over_the_line = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with connect(over_the_line) as redis:
            threads = ProviderThreads(
                redis, openai_services().threads._rest, clock=FakeClock(), retention_s=1
            )
            known = KnownThread(uuid4(), "conv_1", 2, "digest", FakeClock().now().timestamp())
            await line.close()
            await threads.save(1, "a", known)
            await line.open()
            assert await threads.take(1, "a") is None
