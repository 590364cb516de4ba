"""'typing…': at once, renewed, one call per chat, gone with the answer."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest
from redis.exceptions import RedisError

from service_kit.contracts.messages import IncomingMessage
from service_kit.lifecycle import end_tasks
from service_kit.queue.base import ConsumerOptions, Reject
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from tg_bot.src.services import typing_indicator
from tg_bot.src.services.typing_indicator import TypingIndicator
from tg_bot.tests.standin import refusal, until

pytestmark = pytest.mark.integration

QUEUE = "queue:in"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(typing_indicator, "RENEW_EVERY", 0.03)


@asynccontextmanager
async def indicator(client, redis_client, limit=60.0):
    settled = partial(RedisProducer(redis_client).find_settled, QUEUE)
    typing = TypingIndicator(client, settled, limit=limit)
    task = asyncio.ensure_future(typing.run())
    try:
        yield typing
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shown(telegram, chat_id=7):
    return sum(name == "sendChatAction" and body["chat_id"] == chat_id for name, body in telegram.calls)


async def test_it_is_shown_at_once_and_renewed_until_the_answer(telegram, client, redis_client):
    async with indicator(client, redis_client) as typing:
        typing.begin(7, "tg:1")
        await telegram.until(lambda: shown(telegram) >= 3)
        await typing.wait_for_call(7)
        typing.end(7, "tg:1")
        calls = shown(telegram)
        typing.begin(8, "tg:2")
        await telegram.until(lambda: shown(telegram, 8) >= 3)
        assert shown(telegram) == calls


async def test_it_goes_on_while_another_message_waits(telegram, client, redis_client):
    async with indicator(client, redis_client) as typing:
        typing.begin(7, "tg:1")
        typing.begin(7, "tg:2")
        await telegram.until(lambda: shown(telegram) >= 1)
        typing.end(7, "tg:1")
        calls = shown(telegram)
        await telegram.until(lambda: shown(telegram) >= calls + 2)
        typing.end(7, "tg:2")
        assert typing._waiting == {}


async def test_a_thousand_messages_of_one_chat_are_one_call(telegram, client, redis_client, monkeypatch):
    monkeypatch.setattr(typing_indicator, "RENEW_EVERY", 60)
    async with indicator(client, redis_client) as typing:
        for number in range(1000):
            typing.begin(7, f"tg:{number}")
        typing.begin(8, "tg:x")
        await telegram.until(lambda: shown(telegram, 8) >= 1)
        assert shown(telegram) == 1


async def test_a_quick_answer_needs_no_call(telegram, client, redis_client):
    async with indicator(client, redis_client) as typing:
        for chat in range(200):
            typing.begin(chat, f"tg:{chat}")
            typing.end(chat, f"tg:{chat}")
        typing.begin(1000, "tg:x")
        await telegram.until(lambda: shown(telegram, 1000) == 1)
        assert telegram.count("sendChatAction") < 5


async def test_few_calls_run_at_once(telegram, client, redis_client, monkeypatch):
    monkeypatch.setattr(typing_indicator, "RENEW_EVERY", 60)
    async with indicator(client, redis_client) as typing:
        for chat in range(100):
            typing.begin(chat, f"tg:{chat}")
        await telegram.until(lambda: telegram.count("sendChatAction") >= 1)
        assert len(typing._calls) <= typing_indicator.CONCURRENT_CALLS
        await telegram.until(lambda: telegram.count("sendChatAction") == 100)


async def test_it_is_given_up_after_its_limit(telegram, client, redis_client):
    async with indicator(client, redis_client, limit=0.1) as typing:
        typing.begin(7, "tg:1")
        await telegram.until(lambda: shown(telegram) >= 1)
        await until(lambda: not typing._waiting)


async def test_a_429_is_a_pause_for_that_chat(telegram, client, redis_client):
    telegram.refuse("sendChatAction", refusal(429, "Too Many Requests", retry_after=60))
    async with indicator(client, redis_client) as typing:
        typing.begin(7, "tg:1")
        await telegram.until(lambda: shown(telegram) == 1)
        typing.begin(8, "tg:2")
        await telegram.until(lambda: shown(telegram, 8) >= 3)
        assert shown(telegram) == 1


async def test_failures_cost_nothing(telegram, client, redis_client):
    telegram.refuse("sendChatAction", refusal(403, "Forbidden"), "drop", refusal(500, "oops"))
    async with indicator(client, redis_client) as typing:
        typing.begin(7, "tg:1")
        await telegram.until(lambda: shown(telegram) >= 4)


@pytest.mark.parametrize("fate", ["answered", "rejected"])
async def test_a_message_that_is_settled_elsewhere_ends_it(
    telegram, client, redis_client, redis_settings, fate
):
    """Another instance sends the answer; or the assistant rejects the message, and there is none."""

    async def assistant(_delivery):
        if fate == "rejected":
            raise Reject("user 1 is blocked")
        return ()

    consumer = RedisConsumer(redis_settings, ConsumerOptions(queue=QUEUE, slot="a"), assistant)
    message = IncomingMessage(id="tg:1", user_id=1, chat_id=7, text="hi")
    async with indicator(client, redis_client) as typing:
        typing.begin(7, "tg:1")
        typing.begin(8, "tg:2")
        await telegram.until(lambda: shown(telegram) >= 2)
        await RedisProducer(redis_client).enqueue(QUEUE, message)
        stop = asyncio.Event()
        consuming = asyncio.ensure_future(consumer.run(stop))
        await until(lambda: list(typing._waiting) == [8])
        stop.set()
        await consuming


async def test_while_redis_is_away_it_goes_on(telegram, client, redis_client):
    async def away(_ids):
        raise RedisError("away")

    typing = TypingIndicator(client, away, limit=60)
    task = asyncio.ensure_future(typing.run())
    typing.begin(7, "tg:1")
    await telegram.until(lambda: shown(telegram) >= 1)
    await until(lambda: typing._waiting[7].due > 0 and not typing._calls)
    assert not task.done()
    await end_tasks([task])


async def test_zero_shows_nothing(telegram, client, redis_client):
    async with indicator(client, redis_client, limit=0) as typing:
        typing.begin(7, "tg:1")
        assert typing._waiting == {}
