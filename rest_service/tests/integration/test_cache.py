"""Never older than an answered change, whatever overtakes whatever."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from rest_service.app import kept
from rest_service.app.cache import KEPT_BYTES, LiveCache
from rest_service.tests.support import until
from service_kit.changes import Topic
from service_kit.redis import connect_blocking
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration

USER = kept.user(5)
OTHER = kept.user(6)


@asynccontextmanager
async def a_cache(redis_settings, **more):
    client = connect_blocking(redis_settings, block=0)
    async with LiveCache(client, **more) as cache:
        yield cache
    await client.aclose()


@pytest.fixture
async def cache(redis_client, redis_settings):
    async with a_cache(redis_settings) as started:
        assert started.open
        yield started


@pytest.fixture
async def second(redis_client, redis_settings, cache):
    """Another process of the service."""
    async with a_cache(redis_settings) as started:
        yield started


async def taken(cache, key):
    """What is kept; None where it would be loaded."""

    async def fail():
        raise LookupError

    try:
        return await cache.get(key, fail)
    except LookupError:
        return None


class Row:
    """What the database would answer; `hold` stops a load between reading and handing over."""

    def __init__(self, value=b"0"):
        self.value = value
        self.loads = 0
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def hold(self):
        self.read.clear()
        self.go_on.clear()

    async def load(self):
        self.loads += 1
        value = self.value
        self.read.set()
        await self.go_on.wait()
        return value


async def test_what_was_loaded_once_is_kept_for_all_processes(cache, second):
    row = Row()
    for reader in (cache, cache, second, second):
        assert await reader.get(USER, row.load) == b"0"
        assert await taken(reader, USER) == b"0"
    assert row.loads == 1


async def test_a_change_is_in_force_for_the_next_read_in_every_process(cache, second):
    row = Row()
    for number in range(20):
        for reader in (cache, second):
            assert await reader.get(USER, row.load) == b"%d" % number
        row.value = b"%d" % (number + 1)
        await (cache, second)[number % 2].changed([Topic.ROWS])
        assert await taken(cache, USER) is None
        assert await taken(second, USER) is None


@pytest.mark.parametrize("rows", [[], [USER]], ids=["announced", "marked"])
async def test_a_reader_that_was_overtaken_leaves_nothing_old(cache, second, rows):
    row = Row(b"old")
    row.hold()
    overtaken = asyncio.create_task(cache.get(USER, row.load))
    await row.read.wait()
    row.value = b"new"
    await second.changed([] if rows else [Topic.ROWS], rows)
    row.go_on.set()
    assert await overtaken == b"old"  # it asked before the change was answered
    assert await cache.get(USER, row.load) == b"new"
    assert await second.get(USER, row.load) == b"new"
    assert await taken(cache, USER) == b"new"


async def test_whoever_comes_after_a_change_does_not_share_the_load_from_before(cache):
    row = Row(b"old")
    row.hold()
    before = asyncio.create_task(cache.get(USER, row.load))
    await row.read.wait()
    row.value = b"new"
    await cache.changed([Topic.ROWS])
    after = asyncio.create_task(cache.get(USER, row.load))
    await until(lambda: loads(row, 2))
    row.go_on.set()
    assert [await before, await after] == [b"old", b"new"]


async def loads(row, count):
    return row.loads == count


async def test_many_who_ask_at_once_load_once(cache):
    row = Row()
    row.hold()
    asking = [asyncio.create_task(cache.get(USER, row.load)) for _ in range(50)]
    await row.read.wait()
    asking[0].cancel()  # the one that began it goes away
    row.go_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert set(answers[1:]) == {b"0"}
    assert row.loads == 1


async def test_a_load_that_fails_fails_for_all_who_wait_and_is_not_kept(cache):
    async def fail():
        raise LookupError

    answers = await asyncio.gather(*(cache.get(USER, fail) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LookupError] * 5
    assert await cache.get(USER, Row().load) == b"0"


async def test_a_marked_row_is_old_and_the_others_are_not(cache, second, redis_client):
    row, other = Row(), Row(b"other")
    for reader in (cache, second):
        await reader.get(USER, row.load)
        await reader.get(OTHER, other.load)
    before = await redis_client.get(Topic.ROWS)
    row.value = b"1"
    await cache.changed([], [USER])
    assert await redis_client.get(Topic.ROWS) == before
    for reader in (cache, second):
        assert await reader.get(USER, row.load) == b"1"
        assert await taken(reader, OTHER) == b"other"
    assert other.loads == 1


async def test_a_redis_that_forgot_everything_brings_nothing_old_back(cache, redis_client):
    row = Row(b"old")
    await cache.get(USER, row.load)
    await redis_client.flushdb()
    row.value = b"new"
    await cache.changed([Topic.ROWS])
    assert await cache.get(USER, row.load) == b"new"
    await redis_client.flushdb()
    assert await taken(cache, USER) is None
    await until(lambda: is_open(cache))
    assert int(await redis_client.get(Topic.ROWS)) > 10**15  # never a number that was used before


async def is_open(cache):
    return cache.open


async def test_while_redis_hangs_the_database_answers_and_nothing_is_missed(redis_client, redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with a_cache(through) as cache, a_cache(redis_settings) as second:
            row = Row(b"0")
            await cache.get(USER, row.load)
            await second.get(USER, row.load)
            line.lose_answers()
            assert await cache.get(USER, row.load) == b"0"
            assert not cache.open
            started = time.monotonic()
            for _ in range(100):
                await cache.get(USER, row.load)
            assert time.monotonic() - started < 1  # nobody waits for Redis any more
            row.value = b"1"
            await cache.changed([Topic.ROWS])
            assert await cache.get(USER, row.load) == b"1"
            line.cut()
            await until(lambda: is_open(cache))
            assert await second.get(USER, row.load) == b"1"
            assert await cache.get(USER, row.load) == b"1"


async def test_while_redis_is_gone_changes_are_seen_here_and_told_later(redis_client, redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with a_cache(through) as cache, a_cache(redis_settings) as second:
            row = Row(b"0")
            await cache.get(USER, row.load)
            assert await taken(cache, USER) == b"0"  # no trip is under way when the line is cut
            await line.close()
            row.value = b"1"
            await cache.changed([], [USER])
            assert await cache.get(USER, row.load) == b"1"
            await line.open()
            await until(lambda: is_open(cache))
            assert await second.get(USER, row.load) == b"1"


async def test_a_start_takes_nothing_that_a_predecessor_may_not_have_announced(redis_client, redis_settings):
    row = Row(b"old")
    async with a_cache(redis_settings) as predecessor:
        await predecessor.get(USER, row.load)
    row.value = b"new"  # committed, and then the process was killed
    async with a_cache(redis_settings) as successor:
        assert await successor.get(USER, row.load) == b"new"


async def test_memory_is_bounded_and_the_least_used_goes_first(redis_client, redis_settings):
    async with a_cache(redis_settings, kept_bytes=10_000) as cache:
        shelf = cache._shelf
        for number in range(100):
            await cache.get(kept.user(number), Row(b"x" * 500).load)
            await taken(cache, kept.user(0))
        assert "user:0" in shelf
        assert "user:99" in shelf
        assert "user:1" not in shelf
        await cache.get(kept.user(1000), Row(b"x" * 5_000).load)
        assert "user:1000" not in shelf
    assert KEPT_BYTES > 10_000


async def test_nobody_waits_for_a_cache_that_stops(redis_client, redis_settings):
    async with a_cache(redis_settings) as cache:
        row = Row()
        await cache.get(USER, row.load)
        asking = [asyncio.create_task(cache.get(USER, row.load)) for _ in range(5)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*asking) == [b"0"] * 5
