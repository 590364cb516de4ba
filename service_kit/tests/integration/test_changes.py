import asyncio

import pytest
import redis.asyncio as aioredis

from service_kit import changes
from service_kit.changes import ChangeAwareCache, Topic, announce
from service_kit.errors import TransientError

pytestmark = pytest.mark.integration


class Source:
    """What a loader reads: counts its loads, can be away, can be slow."""

    def __init__(self) -> None:
        self.value = "old"
        self.loads = 0
        self.away = False
        self.asked = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def load(self) -> str:
        self.loads += 1
        self.asked.set()
        value = self.value
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise TransientError("away")
        return value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(redis_client: aioredis.Redis) -> ChangeAwareCache[str]:
    return ChangeAwareCache(redis_client, Topic.USERS)


async def test_a_value_is_kept_until_a_change_is_announced(cache, source, redis_client):
    assert await cache.get(1, source.load) == await cache.get(1, source.load) == "old"
    assert source.loads == 1
    source.value = "new"
    await announce(redis_client, Topic.CONFIGURATION)
    assert await cache.get(1, source.load) == "old"
    await announce(redis_client, Topic.USERS)
    assert await cache.get(1, source.load) == "new"


async def test_a_value_grows_old(redis_client, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis_client, Topic.USERS, ttl=0.0)
    await cache.get(1, source.load)
    await cache.get(1, source.load)
    assert source.loads == 2


async def test_many_at_once_load_once(cache, source):
    source.gate = asyncio.Event()
    asking = [asyncio.create_task(cache.get(1, source.load)) for _ in range(50)]
    await source.asked.wait()
    source.gate.set()
    assert await asyncio.gather(*asking) == ["old"] * 50
    assert source.loads == 1


async def test_whoever_asks_after_a_change_does_not_get_a_load_from_before_it(cache, source, redis_client):
    source.gate = asyncio.Event()
    before = asyncio.create_task(cache.get(1, source.load))
    await source.asked.wait()
    source.value = "new"
    await announce(redis_client, Topic.USERS)
    after = asyncio.create_task(cache.get(1, source.load))
    source.gate.set()
    assert (await before, await after) == ("old", "new")


async def test_the_last_known_serves_and_a_source_that_is_away_is_not_hammered(cache, source, redis_client):
    await cache.get(1, source.load)
    source.away = True
    await announce(redis_client, Topic.USERS)
    assert await asyncio.gather(*(cache.get(1, source.load) for _ in range(20))) == ["old"] * 20
    assert source.loads == 2
    source.away, source.value = False, "new"
    await announce(redis_client, Topic.USERS)  # only a source that is back announces
    assert await cache.get(1, source.load) == "new"


async def test_a_source_that_was_away_is_asked_again_soon(cache, source, redis_client, monkeypatch):
    monkeypatch.setattr(changes, "HOLD_OFF", 0.0)
    await cache.get(1, source.load)
    source.away = True
    await announce(redis_client, Topic.USERS)
    assert await cache.get(1, source.load) == "old"
    source.away, source.value = False, "new"
    assert await cache.get(1, source.load) == "new"


async def test_one_failed_load_spares_all_who_know_an_old_value(redis_client, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis_client, Topic.USERS, ttl=0.0)
    for key in range(20):
        await cache.get(key, source.load)
    source.away = True
    assert [await cache.get(key, source.load) for key in range(20)] == ["old"] * 20
    assert source.loads == 20 + 1


async def test_the_failed_load_of_one_key_keeps_no_change_of_another_back(cache, source, redis_client):
    broken = Source()
    await cache.get(1, broken.load)
    await cache.get(2, source.load)
    broken.away, source.value = True, "new"
    await announce(redis_client, Topic.USERS)
    assert await cache.get(1, broken.load) == "old"
    assert await cache.get(2, source.load) == "new"


async def test_a_source_that_is_back_is_read_by_all(redis_client, source, monkeypatch):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis_client, Topic.USERS, ttl=0.0)
    await cache.get(1, source.load)
    await cache.get(2, source.load)
    source.away = True
    await cache.get(1, source.load)
    monkeypatch.setattr(changes, "HOLD_OFF", 0.0)
    source.away, source.value = False, "new"
    assert await cache.get(1, source.load) == "new"
    monkeypatch.undo()
    assert await cache.get(2, source.load) == "new"


async def test_nothing_known_and_away_is_the_callers(cache, source):
    source.away = True
    with pytest.raises(TransientError):
        await cache.get(1, source.load)
    assert cache.peek(1) is None


async def test_a_cancelled_load_leaves_the_next_one_free(cache, source):
    source.gate = asyncio.Event()
    first = asyncio.create_task(cache.get(1, source.load))
    await source.asked.wait()
    first.cancel()
    source.gate.set()
    assert await cache.get(1, source.load) == "old"
    assert cache.peek(1) == "old"


async def test_what_is_dropped_is_loaded_again(cache, source):
    await cache.get(1, source.load)
    cache.drop(1)
    assert cache.peek(1) is None
    await cache.get(1, source.load)
    assert source.loads == 2
