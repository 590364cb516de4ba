"""The process as it is: composition root, queue, Redis, HTTP; only the far ends are stand-ins."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio as aioredis

from assistant.src.config.settings import Settings
from assistant.src.main import serve
from assistant.src.messages import partials
from assistant.tests.fakes import assistant_row, tool_row, tree_of, user_row
from assistant.tests.openai_standin import OpenAIStandIn, Says
from assistant.tests.standin import Reply, RestStandIn, StandIn, chunk, completion, error, events
from service_kit.contracts.messages import STREAM_TO_TELEGRAM, IncomingMessage, PartialReply
from service_kit.queue.base import ConsumerOptions
from service_kit.queue.producer import RedisProducer
from service_kit.queue.redis_store import RedisStore
from service_kit.settings import RedisSettings
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

THEN = "2026-01-01T00:00:00Z"
IN, OUT = "queue:to_secretary", "queue:to_telegram"


def model(request: dict[str, Any]) -> Reply:
    """Asks for the time once, then says what it got."""
    last = request["messages"][-1]
    if last["role"] == "tool":
        return completion(f"It is {json.loads(last['content'])['timezone']} time")
    if "time" in last["content"].rsplit("</context>", 1)[-1]:
        call = {
            "id": "c1",
            "type": "function",
            "function": {"name": "current_time", "arguments": '{"timezone": "Asia/Tokyo"}'},
        }
        return completion(None, tool_calls=[call])
    return completion("Hello")


@asynccontextmanager
async def running(
    redis_settings: RedisSettings, provider: StandIn | OpenAIStandIn, rest: RestStandIn, **settings: Any
) -> AsyncIterator[Settings]:
    made = Settings.model_validate(
        {
            **redis_settings.model_dump(),
            "rest_service_url": rest.url,
            "service_api_key": "key",
            "openai_base_url": provider.url,
            "openai_default_model": "demo",
            "http_port": free_port(),
            "drain_timeout": 5,
            **settings,
        }
    )
    stop = asyncio.Event()
    service = asyncio.create_task(serve(made, stop))
    try:
        yield made
    finally:
        stop.set()
        await asyncio.wait_for(service, 30)


@pytest.fixture
def rest() -> RestStandIn:
    root = assistant_row(is_secretary=True)
    tree = tree_of(root, tools={root.id: [tool_row()]})
    return RestStandIn(*(user_row(number) for number in range(1, 6)), trees=[tree])


async def put(redis: aioredis.Redis, text: str, number: int, user: int = 1) -> None:
    message = IncomingMessage(id=f"tg:{number}", user_id=user, chat_id=100 + user, text=text)
    await RedisProducer(redis).enqueue(IN, message)


async def until(redis: aioredis.Redis, key: str, good: Callable[[int], bool]) -> list[Any]:
    """The list at `key`, once its length is good."""

    async def long_enough() -> bool:
        return good(await redis.llen(key))

    await eventually(long_enough)
    return list(await redis.lrange(key, 0, -1))


async def eventually(good: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as it is so."""
    async with asyncio.timeout(60):
        while not await good():  # noqa: ASYNC110 - what is looked at is in another process
            await asyncio.sleep(0.02)


async def test_messages_are_answered_in_order_and_bad_ones_are_dead_letters(
    redis_client, redis_settings, rest
):
    async with StandIn(model) as provider, rest, running(redis_settings, provider, rest):
        await redis_client.rpush(IN, b"{broken", b'{"user_id": 77, "chat_id": 1, "text": "who?"}')
        for number in range(30):
            await put(redis_client, "What time is it?" if number % 3 else "Hi", number, user=1 + number % 5)
        replies = [json.loads(raw) for raw in await until(redis_client, OUT, lambda count: count >= 30)]
        letters = await until(redis_client, f"{IN}:dead", lambda count: count >= 2)
    assert len({reply["id"] for reply in replies}) == len(replies) == 30
    for user in range(1, 6):
        numbers = [int(r["in_reply_to"].split(":")[1]) for r in replies if r["user_id"] == user]
        assert numbers == sorted(numbers)
    assert {reply["text"] for reply in replies} == {"Hello", "It is Asia/Tokyo time"}
    assert any(b"unknown user 77" in letter for letter in letters)


async def test_a_message_waits_until_rest_service_takes_the_key_and_health_says_so(
    redis_client, redis_settings, rest
):
    rest.key = "another"
    async with StandIn(model) as provider, rest, running(redis_settings, provider, rest) as made:
        await put(redis_client, "Hi", 1)
        await put(redis_client, "What time is it?", 2)

        async def waits() -> bool:
            return bool(await redis_client.hexists(f"{IN}:waits", "tg:1"))

        async def health_says_so() -> bool:
            status, body = await asyncio.to_thread(health_of, made)
            return status == 503 and "401" in body["checks"]["rest_service"]

        await eventually(waits)
        await eventually(health_says_so)
        rest.key = "key"
        replies = [json.loads(raw) for raw in await until(redis_client, OUT, lambda count: count >= 2)]
    assert [reply["id"] for reply in replies] == ["tg:1:r0", "tg:2:r0"]
    assert [reply["text"] for reply in replies] == ["Hello", "It is Asia/Tokyo time"]


async def test_who_writes_while_rest_service_stays_away_is_told_at_last(redis_client, redis_settings, rest):
    rest.down = True
    patience = {"message_longest_wait": 0.5}
    async with StandIn(model) as provider, rest, running(redis_settings, provider, rest, **patience):
        await put(redis_client, "Привет", 1)
        (notice,) = [json.loads(raw) for raw in await until(redis_client, OUT, lambda count: count >= 1)]
    assert (notice["id"], notice["type"], notice["chat_id"]) == ("tg:1:r0", "notice", 101)
    assert notice["text"].startswith("Простите")


async def test_the_dead_letters_of_who_is_deleted_go_too(redis_client, redis_settings, rest):
    rest.discards = [{"id": 7, "kind": "user", "reference": "1", "created_at": THEN, "updated_at": THEN}]
    for queue in (IN, OUT):
        for user in (1, 2):
            letter = {"user_id": user, "chat_id": 100 + user, "text": "secret"}
            head = {"reason": "no", "attempts": 1, "by": "x", "at": 0}
            await redis_client.rpush(f"{queue}:dead", f"{json.dumps(head)}\n{json.dumps(letter)}")
    async with StandIn(model) as provider, rest, running(redis_settings, provider, rest):
        await eventually(lambda: _is_empty(rest.discards))
        left = [await redis_client.lrange(f"{queue}:dead", 0, -1) for queue in (IN, OUT)]
    assert [[json.loads(raw.split(b"\n")[1])["user_id"] for raw in letters] for letters in left] == [[2], [2]]


async def _is_empty(some: list[Any]) -> bool:
    return not some


async def test_a_message_outlives_the_processes_that_die_with_it(redis_client, redis_settings, rest):
    """Killed every two seconds, twenty of them may have had it in hand; it is not to blame."""
    await put(redis_client, "Hi", 1)
    options = ConsumerOptions(queue=IN, slot="mayfly", max_crashes=100)
    for _ in range(20):
        dies = RedisStore(redis_settings, options)
        await dies.join(replace=True)
        assert len((await dies.claim(1)).deliveries) == 1
        await dies.close()
    async with (
        StandIn(model) as provider,
        rest,
        running(redis_settings, provider, rest, service_slot="mayfly"),
    ):
        (reply,) = [json.loads(raw) for raw in await until(redis_client, OUT, lambda count: count >= 1)]
    assert reply["text"] == "Hello"


async def test_health_turns_red_when_rest_service_is_away(redis_client, redis_settings, rest):
    async with StandIn(model) as provider, rest, running(redis_settings, provider, rest) as made:
        seen: dict[str, Any] = {}

        async def status_is(status: int) -> bool:
            found, body = await asyncio.to_thread(health_of, made)
            seen.update(body)
            return found == status

        await eventually(lambda: status_is(200))
        rest.down = True

        async def rest_is_told() -> bool:
            # on a busy machine the first 503 may be for a check that was late
            return await status_is(503) and "503" in seen["checks"]["rest_service"]

        await eventually(rest_is_told)
    assert seen["checks"]["redis"] == "ok"


@pytest.mark.parametrize(
    "reply",
    [error(500), error(429, retry_after="1"), Reply(b"<html>"), Reply(hang=True)],
    ids=["500", "429", "rubbish", "hang"],
)
async def test_a_broken_provider_is_one_friendly_notice(redis_client, redis_settings, rest, reply):
    async with (
        StandIn(reply) as provider,
        rest,
        running(redis_settings, provider, rest, message_timeout=0.6, model_attempts=2),
    ):
        await put(redis_client, "Hi", 1)
        (raw,) = await until(redis_client, OUT, lambda count: count >= 1)
    notice = json.loads(raw)
    assert (notice["type"], notice["id"]) == ("notice", "tg:1:r0")
    assert notice["text"].startswith("Sorry, ")
    assert await redis_client.llen(f"{IN}:dead") == 0


async def test_a_stop_lets_the_running_message_finish(redis_client, redis_settings, rest):
    asked = asyncio.Event()

    def slow(request: dict[str, Any]) -> Reply:
        asked.set()
        return model(request)

    async with StandIn(slow) as provider, rest:
        async with running(redis_settings, provider, rest):
            await put(redis_client, "What time is it?", 1)
            await asyncio.wait_for(asked.wait(), 60)
        assert await redis_client.llen(OUT) == 1


async def test_what_messages_cost_is_counted_and_stored_before_the_end(redis_client, redis_settings, rest):
    async with StandIn(model) as provider, rest:
        async with running(redis_settings, provider, rest) as made:
            await put(redis_client, "What time is it?", 1)
            await until(redis_client, OUT, lambda count: count >= 1)
            page = await asyncio.to_thread(page_of, made, "/metrics")
        assert await redis_client.exists("usage:pending") == 0
    assert 'assistant_message_seconds_count{outcome="answered"}' in page
    (record,) = rest.usage
    assert (record["message_id"], record["model"], record["model_calls"]) == ("tg:1", "openai/demo", 2)
    assert (record["input_tokens"], record["cached_tokens"], record["output_tokens"]) == (24, 16, 6)


async def test_what_goes_on_beside_the_messages_ends_in_order(redis_client, redis_settings, rest):
    """A stop finds a conversation being compacted: the summary is made, kept, and its cost stored."""
    async with StandIn(model) as provider, rest:
        async with running(redis_settings, provider, rest, history_tokens=256):
            for number in range(3):
                await put(redis_client, f"A long story {number}. " * 20, number)
            await until(redis_client, OUT, lambda count: count >= 3)
        assert await redis_client.exists("usage:pending") == 0
    assert [record["kind"] for record in rest.usage].count("answer") == 3
    assert "summary" in {record["kind"] for record in rest.usage}


async def test_a_reply_is_shown_while_it_grows_and_may_fail_all_the_same(
    redis_client, redis_settings, rest, monkeypatch
):
    monkeypatch.setattr(partials, "FIRST_AFTER", 0.05)
    half_told = events(chunk("Once"), chunk(" upon"), done=False, missing=100, stall=True)
    async with (
        StandIn(half_told) as provider,
        rest,
        redis_client.pubsub() as channel,
        running(redis_settings, provider, rest, stream_replies=True, message_timeout=3.0, model_attempts=1),
    ):
        await channel.subscribe(STREAM_TO_TELEGRAM)
        await put(redis_client, "Tell me a story", 1)
        async with asyncio.timeout(30):
            while (heard := await channel.get_message(ignore_subscribe_messages=True, timeout=1)) is None:
                pass
        (raw,) = await until(redis_client, OUT, lambda count: count >= 1)
    part = PartialReply.model_validate_json(heard["data"])
    assert (part.in_reply_to, part.seq, part.text) == ("tg:1", 1, "Once upon")
    assert json.loads(raw)["text"].startswith("Sorry, ")
    assert provider.requests[0]["stream"] is True


def page_of(settings: Settings, path: str) -> str:
    address = f"http://127.0.0.1:{settings.http_port}{path}"
    with urllib.request.urlopen(address, timeout=5) as answer:
        return str(answer.read().decode())


def health_of(settings: Settings) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.http_port}/health", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)
    except urllib.error.URLError:  # not listening yet
        return 0, {}


async def test_an_openai_api_secretary_answers_though_no_thread_is_to_be_had(redis_client, redis_settings):
    root = assistant_row(is_secretary=True, assistant_type="openai_api", model="openai/demo")
    rest = RestStandIn(user_row(1), trees=[tree_of(root)])
    async with OpenAIStandIn(Says("Hello")) as provider, rest, running(redis_settings, provider, rest):
        await put(redis_client, "Hi", 1)
        (reply,) = [json.loads(raw) for raw in await until(redis_client, OUT, lambda count: count >= 1)]
    assert (reply["type"], reply["text"]) == ("reply", "Hello")
    assert provider.asked[0]["store"] is False
