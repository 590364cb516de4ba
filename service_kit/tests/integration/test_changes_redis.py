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
    told = {Topic.CONFIGURATION, Topic.USERS}
    assert await redis_client.mget(*Topic) == [b"1" if topic in told else None for topic in Topic]
