"""A growing reply is published, in nobody's way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio as aioredis

from assistant.src.core.model import ModelAnswer, ModelRequest, TextSink, ToolMessage
from assistant.src.messages import partials as partials_module
from assistant.src.messages.partials import PartialReplies
from assistant.tests.fakes import assistant_row, calls, said, tool_row, tree_of, user_row
from assistant.tests.standin import RestStandIn
from service_kit import redis as kit_redis
from service_kit.contracts.messages import STREAM_TO_TELEGRAM, IncomingMessage, PartialReply
from service_kit.settings import RedisSettings
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration

QUESTION = IncomingMessage(id="tg:1", user_id=1, chat_id=101, text="Tell me a story")


class Listener:
    """Hears what is published."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._pubsub = redis.pubsub()

    async def begin(self) -> None:
        await self._pubsub.subscribe(STREAM_TO_TELEGRAM)
        assert (await self._message())["type"] == "subscribe"

    async def hear(self) -> PartialReply:
        return PartialReply.model_validate_json((await self._message())["data"])

    async def nothing_more(self, redis: aioredis.Redis) -> bool:
        """Whether nothing was published before now."""
        await redis.publish(STREAM_TO_TELEGRAM, b"end")
        return bool((await self._message())["data"] == b"end")

    async def end(self) -> None:
        await self._pubsub.aclose()

    async def _message(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while (found := await self._pubsub.get_message(timeout=5)) is None:
                pass
        return dict(found)


@pytest.fixture
async def listener(redis_client: aioredis.Redis) -> AsyncIterator[Listener]:
    made = Listener(redis_client)
    await made.begin()
    yield made
    await made.end()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(partials_module, "FIRST_AFTER", 0.05)
    monkeypatch.setattr(partials_module, "EVERY", 0.1)


@asynccontextmanager
async def growing(redis: aioredis.Redis) -> AsyncIterator[TextSink]:
    async with PartialReplies(redis, QUESTION) as partials:
        assert partials.on_text is not None
        yield partials.on_text


async def test_a_short_answer_is_not_published(redis_client, listener):
    async with growing(redis_client) as told:
        told("Yes.")
    assert await listener.nothing_more(redis_client)
    assert len(asyncio.all_tasks()) == 1


async def test_the_newest_text_is_published_and_counted(redis_client, listener, quick):
    async with growing(redis_client) as told:
        told("Once")
        told("Once upon")
        first = await listener.hear()
        told("Once upon a")
        told("Once upon a time")
        second = await listener.hear()
    assert first == PartialReply(in_reply_to="tg:1", chat_id=101, user_id=1, seq=1, text="Once upon")
    assert (second.seq, second.text) == (2, "Once upon a time")
    assert await listener.nothing_more(redis_client)


async def test_at_most_one_in_each_interval(redis_client, listener, monkeypatch):
    monkeypatch.setattr(partials_module, "FIRST_AFTER", 0.05)
    monkeypatch.setattr(partials_module, "EVERY", 60.0)
    async with growing(redis_client) as told:
        told("Once")
        assert (await listener.hear()).text == "Once"
        for size in range(100):
            told("Once" + "!" * size)
            await asyncio.sleep(0)
        assert await listener.nothing_more(redis_client)


async def test_an_answer_that_begins_anew_is_counted_anew(redis_client, listener, quick):
    async with growing(redis_client) as told:
        told("Once upon a")
        assert (await listener.hear()).seq == 1
        told("")
        told("It was a dark and stormy night")
        again = await listener.hear()
    assert (again.seq, again.text) == (1, "It was a dark and stormy night")


async def test_blank_text_is_none(redis_client, listener, quick):
    async with growing(redis_client) as told:
        told("  \n")
        told("  \nOnce")
        assert (await listener.hear()).text == "  \nOnce"


def test_a_message_without_id_has_no_partial_replies():
    nameless = QUESTION.model_copy(update={"id": None})
    assert PartialReplies(aioredis.Redis(), nameless).on_text is None


async def test_a_line_that_is_cut_is_no_failure(redis_settings: RedisSettings, quick, monkeypatch):
    monkeypatch.setattr(partials_module, "SEND_TIMEOUT", 0.1)
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        client = kit_redis.connect(through)
        listening = kit_redis.connect(redis_settings)
        listener = Listener(listening)
        await listener.begin()
        await client.ping()
        async with growing(client) as told:
            line.lose_answers()
            told("Once")
            assert (await listener.hear()).text == "Once"
            line.cut()
            told("Once upon")
            assert (await listener.hear()).text == "Once upon"
        await listener.end()
        await client.aclose()
        await listening.aclose()


class Teller:
    """A model that tells its answer word by word; `heard` is awaited where the answer is half told."""

    def __init__(self, heard: Callable[[], Awaitable[object]]) -> None:
        self.heard = heard
        self.sinks: list[TextSink | None] = []

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        self.sinks.append(on_text)
        if request.instructions == "You are Planner.":
            return said("pack")
        if not isinstance(request.messages[-1], ToolMessage):
            return calls(("ask_planner", {"request": "plan"}))
        if on_text is not None:
            on_text("First")
            await self.heard()
            on_text("First pack")
        return said("First pack, then go")


@pytest.fixture
def rest() -> RestStandIn:
    root, planner = assistant_row(is_secretary=True), assistant_row("Planner")
    ask = tool_row("ask_planner", "sub_assistant", assistant_id=planner.id)
    return RestStandIn(user_row(), trees=[tree_of(root, planner, tools={root.id: [ask], planner.id: []})])


async def test_the_secretarys_text_is_shown_and_nobody_elses(
    make_service, redis_client, listener, quick, rest
):
    seen: list[PartialReply] = []

    async def heard() -> None:
        seen.append(await listener.hear())

    model = Teller(heard)
    service = await make_service(model, rest, stream_replies=True)
    reply = await service.say("Plan", message_id="tg:9")
    assert reply.text == "First pack, then go"
    assert [(part.in_reply_to, part.text) for part in seen] == [("tg:9", "First")]
    assert [sink is None for sink in model.sinks] == [False, True, False]
    assert await listener.nothing_more(redis_client)


async def test_without_the_setting_no_model_streams(make_service, redis_client, listener, rest):
    async def heard() -> None:
        raise AssertionError

    model = Teller(heard)
    service = await make_service(model, rest)
    assert (await service.say("Plan")).text == "First pack, then go"
    assert model.sinks == [None, None, None]
    assert await listener.nothing_more(redis_client)
