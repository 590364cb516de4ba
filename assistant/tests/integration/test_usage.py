"""What messages cost gets to rest_service: all of it, once, and in nobody's way."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.src.core.model import Usage
from assistant.src.core.run_context import RunTotals
from assistant.src.services import usage as usage_module
from assistant.src.services.rest_service import RestServiceClient
from assistant.src.services.usage import PENDING, UsageLog
from assistant.tests.standin import HttpStandIn, Reply, Request
from service_kit import redis as kit_redis
from service_kit.contracts.usage import UsageCreate, UsageKind
from service_kit.errors import RestUnavailableError
from service_kit.lifecycle import end_tasks
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings
from service_kit.testing.clock import FakeClock
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration

MakeLog = Callable[..., Awaitable[UsageLog]]


class UsageStandIn(HttpStandIn):
    """rest_service's `/api/usage`: keeps what is new, refuses a request with a poisoned record whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, UsageCreate] = {}
        self.posts = 0
        self.down = False
        self.loses_answers = False
        self.longest = 1_000_000

    def respond(self, request: Request) -> Reply:
        assert (request.method, urlsplit(request.target).path) == ("POST", "/api/usage")
        self.posts += 1
        if self.down:
            return Reply(status=503)
        if len(request.body) > self.longest:
            return Reply(b'{"code": "too_large", "message": "too large"}', status=413)
        records = [UsageCreate.model_validate(record) for record in json.loads(request.body)]
        assert len(records) <= 500
        if any(record.message_id == "poison" for record in records):
            return Reply(b'{"code": "validation", "message": "poisoned"}', status=422)
        new = {record.id: record for record in records if record.id not in self.stored}
        self.stored |= new  # of several with one id in a request, any: here the last
        return Reply(json.dumps({"stored": len(new)}).encode(), hang=self.loses_answers)


@pytest.fixture
async def rest() -> AsyncIterator[UsageStandIn]:
    async with UsageStandIn() as standin:
        yield standin


@asynccontextmanager
async def a_log(rest: UsageStandIn, redis: aioredis.Redis) -> AsyncIterator[UsageLog]:
    place = RestClientSettings(rest_service_url=rest.url, service_api_key="key")
    async with AsyncRestClient(place) as client:
        yield UsageLog(redis, RestServiceClient(client), FakeClock())


@pytest.fixture
async def log(rest: UsageStandIn, redis_client: aioredis.Redis) -> AsyncIterator[UsageLog]:
    async with a_log(rest, redis_client) as made:
        yield made


@asynccontextmanager
async def a_poster(redis: RedisSettings, rest: UsageStandIn) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process of the service, as far as it posts."""
    password = redis.redis_password
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "assistant.tests.integration.usage_victim",
        cwd=Path(__file__).parents[3],
        env=os.environ
        | {
            "REDIS_HOST": redis.redis_host,
            "REDIS_PORT": str(redis.redis_port),
            "REDIS_DB": str(redis.redis_db),
            "REDIS_PASSWORD": password.get_secret_value() if password else "",
            "REST_SERVICE_URL": rest.url,
            "SERVICE_API_KEY": "key",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def all_taken(redis: aioredis.Redis) -> bool:
    return not await redis.exists(PENDING)


def used(*models: str, assistant_id: str | None = None) -> RunTotals:
    totals = RunTotals()
    for model in models or ("openai/demo",):
        totals.add(
            assistant_id=assistant_id or str(uuid4()),
            assistant="Secretary",
            model=model,
            usage=Usage(100, 20, 80),
            seconds=1.25,
        )
    return totals


async def until(good: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            found = good()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def test_a_record_says_what_was_used(log, rest, redis_client):
    totals = used("openai/demo", "openai/demo", assistant_id="3fa85f64-5717-4562-b3fc-2c963f66afa6")
    await log.record(user_id=7, message_id="tg:1", totals=totals)
    assert await redis_client.llen(PENDING) == 1
    assert rest.posts == 0
    await log.drain()
    assert await redis_client.exists(PENDING) == 0
    (record,) = rest.stored.values()
    assert record.model_dump(exclude={"at"}) == {
        "id": "tg:1:3fa85f64-5717-4562-b3fc-2c963f66afa6:openai/demo:answer",
        "message_id": "tg:1",
        "user_id": 7,
        "assistant_id": record.assistant_id,
        "assistant": "Secretary",
        "model": "openai/demo",
        "kind": UsageKind.ANSWER,
        "input_tokens": 200,
        "cached_tokens": 160,
        "output_tokens": 40,
        "model_calls": 2,
        "duration_ms": 2500,
    }
    assert record.at == FakeClock().now()


async def test_each_assistant_model_kind_and_run_is_a_record(log, rest):
    totals = used("openai/a", "openai/b", assistant_id=str(uuid4()))
    for run in ("", "1", "1"):
        await log.record(user_id=7, message_id="tg:1", totals=totals, run=run)
    await log.record(user_id=7, message_id="tg:1", totals=totals, kind=UsageKind.SUMMARY)
    await log.drain()
    assert len(rest.stored) == 6


async def test_of_two_records_with_one_id_the_first_counts_in_one_request_too(log, rest):
    assistant_id = str(uuid4())
    for models in (("openai/a", "openai/a", "openai/b"), ("openai/a",), ("openai/b", "openai/b")):
        totals = used(*models, assistant_id=assistant_id)
        await log.record(user_id=7, message_id="tg:1", totals=totals, run="cut off")
    await log.drain()
    assert sorted(record.model_calls for record in rest.stored.values()) == [1, 2]


async def test_nothing_used_is_nothing_recorded(log, redis_client):
    await log.record(user_id=7, message_id="tg:1", totals=RunTotals())
    assert await redis_client.exists(PENDING) == 0


async def test_what_was_posted_before_a_kill_is_posted_again_and_stored_once(
    log, rest, redis_settings, redis_client
):
    for number in range(20):
        await log.record(user_id=7, message_id=f"tg:{number}", totals=used())
    rest.loses_answers = True
    async with a_poster(redis_settings, rest) as victim:
        await until(lambda: rest.posts == 1)
        victim.kill()
        await victim.wait()
    assert len(rest.stored) == await redis_client.llen(PENDING) == 20
    rest.loses_answers = False
    async with a_poster(redis_settings, rest):
        await log.record(user_id=7, message_id="tg:20", totals=used())
        await until(lambda: len(rest.stored) == 21)
        await until(lambda: all_taken(redis_client))


async def test_replicas_that_post_at_the_same_time_lose_and_double_nothing(rest, redis_client, monkeypatch):
    monkeypatch.setattr(usage_module, "MAX_RECORDS", 7)

    async def replica(name: int) -> None:
        async with a_log(rest, redis_client) as log:
            for number in range(40):
                await log.record(user_id=7, message_id=f"tg:{name}:{number}", totals=used())
                if number % 3 == name % 3:
                    await log.drain()
            await log.drain()

    await asyncio.gather(*(replica(name) for name in range(4)))
    assert len(rest.stored) == 160
    assert await redis_client.exists(PENDING) == 0


class Forgetful(RestServiceClient):
    """Stores what is new; `answers` says of each request in turn whether its answer arrives."""

    def __init__(self, answers: Iterable[bool]) -> None:
        self.stored: list[str] = []
        self._answers = iter(answers)

    async def record_usage(self, records: Sequence[UsageCreate]) -> int:
        new = [record.message_id for record in records if record.message_id not in self.stored]
        self.stored += new
        await asyncio.sleep(0)
        if not next(self._answers, True):
            raise RestUnavailableError("the answer was lost")
        return len(new)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(st.sampled_from([*["record"] * 5, "post", "both post"]), min_size=5, max_size=30),
    answers=st.lists(st.booleans(), max_size=12),
)
async def test_whatever_is_lost_on_the_way_each_record_is_stored_once(
    redis_client, monkeypatch, steps, answers
):
    monkeypatch.setattr(usage_module, "MAX_RECORDS", 3)
    await redis_client.flushdb()
    rest = Forgetful(answers)
    first, second = (UsageLog(redis_client, rest, FakeClock()) for _ in range(2))
    recorded = []
    for number, step in enumerate(steps):
        if step == "record":
            recorded.append(f"tg:{number}")
            await (first if number % 2 else second).record(
                user_id=7, message_id=f"tg:{number}", totals=used()
            )
        elif step == "post":
            await first.drain()
        else:
            await asyncio.gather(first.drain(), second.drain())
    for _ in range(len(answers) + 1):
        await first.drain()
    assert sorted(rest.stored) == sorted(recorded)
    assert await redis_client.exists(PENDING) == 0


async def test_records_that_end_together_share_a_command(log, redis_client):
    before = (
        (await redis_client.info("commandstats"))["cmdstat_rpush"]["calls"]
        if await redis_client.rpush("warm", 1)
        else 0
    )
    await asyncio.gather(
        *(log.record(user_id=7, message_id=f"tg:{number}", totals=used()) for number in range(50))
    )
    pushes = (await redis_client.info("commandstats"))["cmdstat_rpush"]["calls"] - before
    assert await redis_client.llen(PENDING) == 50
    assert pushes <= 3


async def test_a_poisoned_record_goes_alone(log, rest, redis_client):
    await redis_client.rpush(PENDING, b"{broken", b'{"id": "of another version"}')
    for number in range(30):
        await log.record(
            user_id=7, message_id="poison" if number in {3, 17} else f"tg:{number}", totals=used()
        )
    await log.drain()
    assert len(rest.stored) == 28
    assert await redis_client.exists(PENDING) == 0


async def test_what_is_too_long_for_one_request_goes_in_several(log, rest, redis_client):
    rest.longest = 2000
    for number in range(8):
        await log.record(user_id=7, message_id=f"tg:{number}", totals=used())
    await log.drain()
    assert len(rest.stored) == 8
    assert await all_taken(redis_client)


async def test_records_wait_while_rest_service_is_away(log, rest, redis_client, monkeypatch):
    monkeypatch.setattr(usage_module, "EVERY", 0.02)
    rest.down = True
    posting = asyncio.create_task(log.run())
    await log.record(user_id=7, message_id="tg:1", totals=used())
    await until(lambda: rest.posts >= 3)
    assert await redis_client.llen(PENDING) == 1
    rest.down = False
    await until(lambda: len(rest.stored) == 1)
    await end_tasks({posting})


async def test_a_bug_in_the_accounting_does_not_end_the_service(rest, redis_client, monkeypatch):
    monkeypatch.setattr(usage_module, "EVERY", 0.02)
    monkeypatch.setattr(usage_module, "LONGEST_PAUSE", 0.02)
    async with a_log(rest, redis_client) as log:
        await log.record(user_id=7, message_id="tg:1", totals=used())
        post = RestServiceClient.record_usage

        async def broken(*_args: object) -> int:
            monkeypatch.setattr(RestServiceClient, "record_usage", post)
            raise ZeroDivisionError

        monkeypatch.setattr(RestServiceClient, "record_usage", broken)
        posting = asyncio.create_task(log.run())
        await until(lambda: posting.done() or len(rest.stored) == 1)
        await end_tasks({posting})
    assert len(rest.stored) == 1


async def test_one_replica_posts_for_all(rest, redis_client, monkeypatch):
    monkeypatch.setattr(usage_module, "EVERY", 0.05)
    async with a_log(rest, redis_client) as first, a_log(rest, redis_client) as second:
        posting = [asyncio.create_task(log.run()) for log in (first, second)]
        for number in range(10):
            await first.record(user_id=7, message_id=f"tg:{number}", totals=used())
            await until(lambda: len(rest.stored) == number + 1)  # noqa: B023 - waited for in this turn
        await end_tasks(posting)
    assert rest.posts <= 12


async def test_of_too_many_the_oldest_go(log, rest, redis_client, monkeypatch):
    monkeypatch.setattr(usage_module, "MAX_PENDING", 5)
    for number in range(8):
        await log.record(user_id=7, message_id=f"tg:{number}", totals=used())
    assert await redis_client.llen(PENDING) == 5
    await log.drain()
    assert sorted(record.message_id for record in rest.stored.values()) == [f"tg:{n}" for n in range(3, 8)]


async def test_while_redis_is_away_no_reply_waits_and_nothing_is_lost(
    rest: UsageStandIn, redis_settings: RedisSettings, redis_client: aioredis.Redis, monkeypatch
):
    monkeypatch.setattr(usage_module, "REPLY_WAITS", 0.2)
    monkeypatch.setattr(usage_module, "MAX_UNWRITTEN", 4)
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        client = kit_redis.connect(through)
        async with a_log(rest, client) as log:
            line.lose_answers()
            async with asyncio.timeout(6 * kit_redis.COMMAND_TIMEOUT / 2):
                for number in range(6):
                    await log.record(user_id=7, message_id=f"tg:{number}", totals=used())
            line.cut()
            await log.drain()
        await client.aclose()
    # some of the first may have arrived, but never their confirmation: then they came twice, as one
    assert {record.message_id for record in rest.stored.values()} >= {f"tg:{n}" for n in range(2, 6)}
    assert await redis_client.exists(PENDING) == 0
