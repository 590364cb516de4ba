"""The whole service between stand-ins of Telegram and rest_service, with real Redis."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx2
import pytest
from pydantic import SecretStr

from service_kit import changes
from service_kit.contracts.messages import QUEUE_TO_SECRETARY, QUEUE_TO_TELEGRAM, OutgoingMessage, reply_id
from service_kit.queue.producer import RedisProducer
from service_kit.testing.servers import free_port
from tg_bot.src.config.settings import Settings
from tg_bot.src.main import run
from tg_bot.src.services import lanes, user_changes
from tg_bot.src.utils.texts import ENGLISH
from tg_bot.tests.standin import TOKEN, until

pytestmark = pytest.mark.integration


@asynccontextmanager
async def running(telegram, rest_standin, redis_settings, **fields):
    settings = Settings(
        **redis_settings.model_dump(),
        **{
            "telegram_token": SecretStr(TOKEN),
            "telegram_api_url": telegram.url,
            "rest_service_url": rest_standin.url,
            "service_api_key": SecretStr("key"),
            "owner_code": SecretStr("owner-code-1"),
            "telegram_chat_rate_limit": 0,
            "telegram_rate_limit": 0,
            "telegram_poll_timeout": 1,
            "http_port": free_port(),
            "service_slot": "bot",
        }
        | fields,
    )
    stop = asyncio.Event()
    task = asyncio.ensure_future(run(settings, stop))
    try:
        yield settings
        assert not task.done(), task
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


async def assistant(redis, number, telegram):
    """Answer `number` messages as the assistant would."""
    producer = RedisProducer(redis)
    for _ in range(number):
        _, raw = await redis.blpop([QUEUE_TO_SECRETARY], timeout=5)
        asked = json.loads(raw)
        answer = OutgoingMessage(
            id=reply_id(asked["id"]),
            chat_id=asked["chat_id"],
            user_id=asked["user_id"],
            text=f"**You** said {asked['text']}",
            in_reply_to=asked["id"],
        )
        await producer.enqueue(QUEUE_TO_TELEGRAM, answer)


async def test_from_stranger_to_owner_to_conversation(telegram, rest_standin, redis_settings, redis_client):
    async with running(telegram, rest_standin, redis_settings) as settings:
        await telegram.write("hello?")
        await telegram.until(lambda: len(telegram.sent) == 1)
        await telegram.write("/start owner-code-1")
        await telegram.until(lambda: len(telegram.sent) == 2)
        await telegram.write("What time is it?")
        await telegram.until(lambda: telegram.count("sendChatAction") == 1)
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 3)
        assert [one["text"] for one in telegram.sent] == [
            ENGLISH.stranger,
            ENGLISH.welcome_owner.format(name="Ada"),
            "You said What time is it?",
        ]
        assert telegram.sent[2]["entities"] == [{"type": "bold", "offset": 0, "length": 3}]
        menus = [body for name, body in telegram.calls if name == "setMyCommands"]
        assert [body.get("language_code") for body in menus] == [None, "ru"]
        await until(lambda: _healthy(settings.http_port))
    assert await redis_client.get("tg:poller:777000") is None


async def test_every_chat_is_answered_in_order(telegram, rest_standin, redis_settings, redis_client):
    for person in range(20):
        rest_standin.add(1000 + person)
    async with running(telegram, rest_standin, redis_settings):
        for number in range(5):
            for person in range(20):
                await telegram.write(f"message {number}", user=1000 + person)
        await assistant(redis_client, 100, telegram)
        await telegram.until(lambda: len(telegram.sent) == 100)
    for person in range(20):
        texts = [one["text"] for one in telegram.sent if one["chat_id"] == 1000 + person]
        assert texts == [f"You said message {number}" for number in range(5)]


async def test_it_starts_while_telegram_and_rest_service_are_away(
    telegram, rest_standin, redis_settings, redis_client
):
    telegram.refuse("getMe", (502, {}), (502, {}))
    rest_standin.add(1001)
    rest_standin.down = True
    await telegram.write("hi")
    async with running(telegram, rest_standin, redis_settings):
        await until(lambda: rest_standin.requests.count("PUT /api/bot") >= 1)
        rest_standin.down = False
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 1, 15)


async def test_nothing_is_handled_before_rest_service_knows_which_bot_plays(
    telegram, rest_standin, redis_settings, redis_client, caplog
):
    """What the bot before has left for its chat 1001 goes to nobody."""
    rest_standin.add(1001)
    left = OutgoingMessage(
        type="notice", id="tg:1:5001:r0", bot_id=1, chat_id=1001, to_stranger=True, text="private"
    )
    await RedisProducer(redis_client).enqueue(QUEUE_TO_TELEGRAM, left)
    await telegram.write("hi")
    rest_standin.may_answer.clear()
    async with running(telegram, rest_standin, redis_settings):
        await until(lambda: "PUT /api/bot" in rest_standin.requests)
        assert await redis_client.llen(QUEUE_TO_TELEGRAM) == 1
        rest_standin.may_answer.set()
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 1)
    assert "reply_failed" not in caplog.text  # it was not taken in hand before
    assert rest_standin.bot == {"id": 777000, "username": "test_bot"}
    assert telegram.sent[0]["text"] == "You said hi"


async def test_it_stops_while_it_does_not_know_which_bot_it_is(telegram, rest_standin, redis_settings):
    rest_standin.down = True
    async with running(telegram, rest_standin, redis_settings):
        await until(lambda: "PUT /api/bot" in rest_standin.requests)
    assert telegram.sent == []


async def test_a_rest_service_that_knows_one_bot_only_is_served(telegram, rest_standin, redis_settings):
    rest_standin.knows_bots = False
    rest_standin.add(1001)
    async with running(telegram, rest_standin, redis_settings):
        await telegram.write("/help")
        await telegram.until(lambda: len(telegram.sent) == 1)


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(changes, "REFRESH_TIMEOUT", 0.1)
    monkeypatch.setattr(lanes, "BATCH_TIMEOUT", 0.3)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
async def test_known_users_are_served_while_rest_service_is_away(
    telegram, rest_standin, redis_settings, redis_client, trouble
):
    async with running(telegram, rest_standin, redis_settings, telegram_open_access=True):
        await telegram.write("hello")  # makes a user, which is announced
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 1)
        if trouble == "hangs":
            rest_standin.may_answer.clear()
        else:
            rest_standin.down = True
        await telegram.write("let me in", user=2002)
        for number in range(2, 4):
            await telegram.write(f"message {number}")
            await assistant(redis_client, 1, telegram)
            await telegram.until(lambda number=number: len(telegram.sent) == number)
        assert {one["chat_id"] for one in telegram.sent} == {1001}
        rest_standin.down = False
        rest_standin.may_answer.set()
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 4)
        await telegram.until(lambda: not telegram.updates)
    assert telegram.sent[3]["text"] == "You said let me in"


async def test_who_comes_back_while_rest_service_is_away_is_reachable_once_it_is_back(
    telegram, rest_standin, redis_settings, redis_client, monkeypatch
):
    monkeypatch.setattr(user_changes, "FLUSH_EVERY", 0.02)
    user = rest_standin.add(1001, is_active=False)
    async with running(telegram, rest_standin, redis_settings):
        rest_standin.broken = {user["id"]}  # it can be read by its account, and not be changed
        await telegram.write("I am back")
        await assistant(redis_client, 1, telegram)
        await telegram.until(lambda: len(telegram.sent) == 0 and not telegram.updates)
        rest_standin.broken = set()
        await until(lambda: user["is_active"] is True)
        await until(lambda: user["last_seen_at"] == "2026-11-22T12:00:00Z")
        await telegram.until(lambda: len(telegram.sent) == 1)


async def _healthy(port):
    async with httpx2.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/health")
    assert set(answer.json()["checks"]) == {"redis", "telegram", QUEUE_TO_TELEGRAM}
    return answer.status_code == 200
