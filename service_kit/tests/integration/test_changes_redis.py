import pytest

from service_kit.changes import ChangeAwareCache, Topic, announce

pytestmark = pytest.mark.integration


async def test_a_change_is_in_force_for_the_next_reader(redis_client):
    value = "old"

    async def load() -> str:
        return value

    cache: ChangeAwareCache[str] = ChangeAwareCache(redis_client, Topic.CONFIGURATION)
    assert await cache.get("tree", load) == "old"
    value = "new"
    assert await cache.get("tree", load) == "old"
    await announce(redis_client, Topic.CONFIGURATION, Topic.USERS)
    assert await cache.get("tree", load) == "new"
    announced = {Topic.CONFIGURATION, Topic.USERS}
    counters = await redis_client.mget(*Topic)
    assert {topic for topic, value in zip(Topic, counters, strict=True) if value} == announced


async def test_a_counter_that_redis_has_lost_never_repeats_a_number(redis_client):
    value = "old"

    async def load() -> str:
        return value

    await announce(redis_client, Topic.USERS)
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis_client, Topic.USERS)
    assert await cache.get(1, load) == "old"
    await redis_client.flushdb()
    value = "new"
    await announce(redis_client, Topic.USERS)
    assert await cache.get(1, load) == "new"
