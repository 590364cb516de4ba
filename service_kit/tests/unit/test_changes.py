"""The cache against a counter in memory; `integration/` has the same counter in a real Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from service_kit import changes
from service_kit.changes import ChangeAwareCache, ChangeCounters, Topic, announce
from service_kit.contracts.errors import ErrorBody
from service_kit.errors import NotFoundError, RestUnavailableError

Look = Callable[[Sequence[str]], Awaitable[list[bytes | None]]]


class FakeRedis:
    """Counters as the cache and `announce` use them; `down` and `hanging` on demand."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.down = False
        self.hanging = False

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        await self._trouble()
        values = [self.counters.get(key) for key in keys]
        return [None if value is None else str(value).encode() for value in values]

    def pipeline(self, *, transaction: bool) -> "FakePipeline":
        return FakePipeline(self)

    async def _trouble(self) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        if self.down:
            raise RedisConnectionError("away")


class FakePipeline:
    def __init__(self, redis: FakeRedis) -> None:
        self._redis = redis
        self._keys: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        pass

    def set(self, key: str, value: int, *, nx: bool) -> None:
        assert nx
        self._redis.counters.setdefault(key, value)

    def incr(self, key: str) -> None:
        self._keys.append(key)

    async def execute(self) -> None:
        await self._redis._trouble()
        for key in self._keys:
            self._redis.counters[key] = self._redis.counters.get(key, 0) + 1


class Source:
    """rest_service: holds a value, counts how often it is asked."""

    def __init__(self) -> None:
        self.value = "old"
        self.asked = 0
        self.failure: Exception | None = None
        self.before_answer: Callable[[], Awaitable[None]] | None = None

    async def load(self) -> str:
        self.asked += 1
        answer = self.value
        if self.before_answer:
            await self.before_answer()
        if self.failure:
            raise self.failure
        return answer


@pytest.fixture
def redis() -> Any:
    return FakeRedis()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(redis: Any) -> ChangeAwareCache[str]:
    return ChangeAwareCache(redis, Topic.USERS)


async def test_what_is_known_is_not_asked_again(cache, source):
    assert [await cache.get(1, source.load) for _ in range(3)] == ["old"] * 3
    assert source.asked == 1


async def test_after_an_announced_change_the_next_get_is_new(cache, source, redis):
    await cache.get(1, source.load)
    source.value = "new"
    await announce(redis, Topic.USERS)
    assert await cache.get(1, source.load) == "new"


async def test_a_change_of_another_topic_is_none_of_its_business(cache, source, redis):
    await cache.get(1, source.load)
    await announce(redis, Topic.CONFIGURATION, Topic.JOBS)
    await cache.get(1, source.load)
    assert source.asked == 1


async def test_a_change_while_loading_is_seen_by_the_next_get(cache, source, redis):
    async def change_meanwhile() -> None:
        source.before_answer = None
        source.value = "new"
        await announce(redis, Topic.USERS)

    source.before_answer = change_meanwhile
    assert await cache.get(1, source.load) == "old"
    assert await cache.get(1, source.load) == "new"


async def test_whoever_asks_after_a_change_never_gets_what_was_loaded_before_it(cache, source, redis):
    loading, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        loading.set()
        await go_on.wait()

    source.before_answer = wait
    before = asyncio.create_task(cache.get(1, source.load))
    await loading.wait()
    source.value = "new"
    await announce(redis, Topic.USERS)
    after = asyncio.create_task(cache.get(1, source.load))
    await asyncio.sleep(0)
    go_on.set()
    assert (await before, await after) == ("old", "new")


async def test_many_at_once_load_once(cache, source):
    assert await asyncio.gather(*(cache.get(1, source.load) for _ in range(50))) == ["old"] * 50
    assert source.asked == 1


async def test_without_redis_values_serve_until_they_are_old(redis, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, ttl=0.05)
    await cache.get(1, source.load)
    redis.down, source.value = True, "new"
    await announce(redis, Topic.USERS)
    assert await cache.get(1, source.load) == "old"
    async with asyncio.timeout(5):
        while await cache.get(1, source.load) != "new":  # noqa: ASYNC110 - only the clock ends it
            await asyncio.sleep(0.005)


async def test_a_lost_announcement_heals(redis, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, ttl=0.0)
    await cache.get(1, source.load)
    source.value = "new"
    assert await cache.get(1, source.load) == "new"


async def test_without_rest_service_the_last_known_serves(cache, source, redis):
    await cache.get(1, source.load)
    await announce(redis, Topic.USERS)
    source.failure = RestUnavailableError("away")
    assert await cache.get(1, source.load) == "old"


async def test_without_rest_service_the_unknown_stays_unknown(cache, source):
    source.failure = RestUnavailableError("away")
    with pytest.raises(RestUnavailableError):
        await cache.get(1, source.load)


async def test_what_was_deleted_is_not_served_while_rest_service_is_away(cache, source, redis):
    await cache.get(1, source.load)
    await announce(redis, Topic.USERS)
    source.failure = NotFoundError(404, ErrorBody(code="not_found", message="gone"))
    with pytest.raises(NotFoundError):
        await cache.get(1, source.load)
    source.failure = RestUnavailableError("away")
    with pytest.raises(RestUnavailableError):
        await cache.get(1, source.load)


class Hanging(Source):
    """rest_service takes the question and does not answer before it `may_go`."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = asyncio.Event()
        self.taken = asyncio.Event()
        self.hangs = False
        self.before_answer = self._hang

    async def _hang(self) -> None:
        self.taken.set()
        if self.hangs:
            await self.may_go.wait()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Hanging:
    monkeypatch.setattr(changes, "REFRESH_TIMEOUT", 0.02)
    return Hanging()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells that a load in the background has ended
            await asyncio.sleep(0)


async def test_while_rest_service_hangs_the_last_known_serves_and_few_wait_for_it(redis, hanging):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, ttl=0.0)
    for key in range(10):
        await cache.get(key, hanging.load)
    hanging.hangs = True
    async with asyncio.timeout(5):
        assert [await cache.get(key, hanging.load) for key in range(10)] == ["old"] * 10
    assert hanging.asked == 10 + 1


async def test_a_changed_value_too_is_served_as_it_was_while_rest_service_hangs(cache, hanging, redis):
    await cache.get(1, hanging.load)
    hanging.hangs = True
    await announce(redis, Topic.USERS)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(cache.get(1, hanging.load) for _ in range(20))) == ["old"] * 20
    assert hanging.asked == 2


async def test_what_is_not_known_waits_as_long_as_the_loader_does(cache, hanging, redis):
    await cache.get(1, hanging.load)
    hanging.hangs = True
    unknown = asyncio.create_task(cache.get(2, hanging.load))
    await announce(redis, Topic.USERS)
    assert await cache.get(1, hanging.load) == "old"  # has waited, and given up
    assert not unknown.done()
    hanging.may_go.set()
    assert await unknown == "old"


async def test_a_slow_answer_is_still_of_use(cache, hanging, redis, monkeypatch):
    monkeypatch.setattr(changes, "HOLD_OFF", 0.0)
    await cache.get(1, hanging.load)
    hanging.hangs, hanging.value = True, "new"
    await announce(redis, Topic.USERS)
    assert [await cache.get(1, hanging.load) for _ in range(3)] == ["old"] * 3
    assert hanging.asked == 2  # the one question is waited for again, not asked again
    hanging.may_go.set()
    await _until(lambda: cache.peek(1) == "new")
    assert await cache.get(1, hanging.load) == "new"
    assert hanging.asked == 2


async def test_nobody_waits_again_for_a_question_that_hangs(redis, hanging, monkeypatch):
    monkeypatch.setattr(changes, "HOLD_OFF", 0.0)
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, ttl=0.0)
    for key in (1, 2):
        await cache.get(key, hanging.load)
    hanging.hangs = True
    assert await cache.get(1, hanging.load) == "old"
    monkeypatch.setattr(changes, "REFRESH_TIMEOUT", 3600.0)
    async with asyncio.timeout(5):
        assert [await cache.get(key, hanging.load) for key in (1, 2, 1, 2)] == ["old"] * 4
    assert hanging.asked == 3
    hanging.failure = RestUnavailableError("no answer in all attempts")
    hanging.may_go.set()
    await _until(lambda: not cache._refreshes)
    hanging.failure, hanging.hangs, hanging.value = None, False, "new"
    assert [await cache.get(key, hanging.load) for key in (1, 2)] == ["new"] * 2


async def test_a_slow_answer_from_before_a_change_is_of_none(cache, hanging, redis):
    await cache.get(1, hanging.load)
    hanging.hangs, hanging.value = True, "newer"
    await announce(redis, Topic.USERS)
    assert await cache.get(1, hanging.load) == "old"
    hanging.value = "newest"
    hanging.taken.clear()
    await announce(redis, Topic.USERS)
    newest = asyncio.create_task(cache.get(1, hanging.load))
    await hanging.taken.wait()
    hanging.may_go.set()
    assert await newest == "newest"
    assert await cache.get(1, hanging.load) == "newest"
    assert hanging.asked == 3


async def test_a_refresh_outlives_who_asked_for_it(cache, hanging, redis, monkeypatch):
    monkeypatch.setattr(changes, "REFRESH_TIMEOUT", 5.0)
    await cache.get(1, hanging.load)
    hanging.hangs, hanging.value = True, "new"
    await announce(redis, Topic.USERS)
    hanging.taken.clear()
    given_up = asyncio.create_task(cache.get(1, hanging.load))
    await hanging.taken.wait()
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    hanging.may_go.set()
    assert await cache.get(1, hanging.load) == "new"
    assert hanging.asked == 2


async def test_a_refresh_that_fails_when_nobody_waits_any_more_is_no_trouble(cache, hanging, redis):
    await cache.get(1, hanging.load)
    hanging.hangs = True
    await announce(redis, Topic.USERS)
    assert await cache.get(1, hanging.load) == "old"
    hanging.failure = NotFoundError(404, ErrorBody(code="not_found", message="gone"))
    hanging.may_go.set()
    await _until(lambda: cache.peek(1) is None)


async def test_what_was_put_is_current_until_the_next_change(cache, source, redis):
    counters = ChangeCounters(redis, Topic.USERS)
    cache.put(1, "put", await counters.read())
    assert await cache.get(1, source.load) == "put"
    await announce(redis, Topic.USERS)
    assert await cache.get(1, source.load) == "old"


async def test_what_was_put_masks_no_change_from_before_it_and_serves_without_rest_service(
    cache, source, redis
):
    seen = await ChangeCounters(redis, Topic.USERS).read()
    await announce(redis, Topic.USERS)  # the caller's own change, or another one since
    cache.put(1, "put", seen)
    source.failure = RestUnavailableError("away")
    assert await cache.get(1, source.load) == "put"
    source.failure = None
    await announce(redis, Topic.USERS)
    assert await cache.get(1, source.load) == "old"


async def test_what_was_put_does_not_replace_what_was_loaded_after_it(cache, source, redis):
    seen = await ChangeCounters(redis, Topic.USERS).read()
    await announce(redis, Topic.USERS)
    await cache.get(1, source.load)
    cache.put(1, "put", seen)
    assert cache.peek(1) == "old"


async def test_a_dropped_value_is_asked_for_again(cache, source):
    await cache.get(1, source.load)
    cache.drop(1)
    cache.drop("never known")
    await cache.get(1, source.load)
    assert source.asked == 2


async def test_peek_never_waits(cache, source):
    assert cache.peek(1) is None
    await cache.get(1, source.load)
    assert cache.peek(1) == "old"


async def test_it_holds_no_more_than_it_may(redis, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, max_entries=2)
    for key in (1, 2, 3):
        await cache.get(key, source.load)
    assert [cache.peek(key) for key in (1, 2, 3)] == [None, "old", "old"]


async def test_where_there_is_no_room_what_was_used_longest_ago_goes(redis, source):
    cache: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS, max_entries=2)
    for key in (1, 2, 1, 3):
        await cache.get(key, source.load)
    assert [cache.peek(key) for key in (1, 2, 3)] == ["old", None, "old"]
    await announce(redis, Topic.USERS)
    for key in (1, 4):  # loaded anew is used, too
        await cache.get(key, source.load)
    assert [cache.peek(key) for key in (1, 3, 4)] == ["old", None, "old"]


async def test_an_announcement_never_fails_nor_keeps_a_request_waiting(redis, monkeypatch):
    monkeypatch.setattr(changes, "ANNOUNCE_TIMEOUT", 0.01)
    redis.down = True
    await announce(redis, Topic.USERS)
    redis.hanging = True
    async with asyncio.timeout(5):
        await announce(redis, Topic.USERS)


async def test_many_at_once_share_a_look_at_the_counter(cache, source, redis, monkeypatch):
    looks = 0
    mget: Look = redis.mget

    async def counted(keys: Sequence[str]) -> list[bytes | None]:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return await mget(keys)

    monkeypatch.setattr(redis, "mget", counted)
    await asyncio.gather(*(cache.get(number, source.load) for number in range(50)))
    assert looks == 1


async def test_a_look_under_way_is_not_good_enough_for_who_comes_later(cache, source, redis, monkeypatch):
    await cache.get(1, source.load)
    mget: Look = redis.mget
    answered, may_go = asyncio.Event(), asyncio.Event()

    async def slow(keys: Sequence[str]) -> list[bytes | None]:
        values = await mget(keys)
        answered.set()
        await may_go.wait()
        return values

    monkeypatch.setattr(redis, "mget", slow)
    early = asyncio.ensure_future(cache.get(1, source.load))
    await answered.wait()  # the counter was read, before the change
    source.value = "new"
    await announce(redis, Topic.USERS)
    late = asyncio.ensure_future(cache.get(1, source.load))
    may_go.set()
    assert await early == "old"
    assert await late == "new"


async def test_one_look_at_several_counters_serves_several_caches(redis, source, monkeypatch):
    counters = ChangeCounters(redis, Topic.USERS, Topic.CONFIGURATION)
    users: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.USERS)
    tree: ChangeAwareCache[str] = ChangeAwareCache(redis, Topic.CONFIGURATION)

    async def both() -> tuple[str, str]:
        seen = await counters.read()
        monkeypatch.setattr(redis, "down", True)  # no further look
        found = await users.get(1, source.load, versions=seen), await tree.get(1, source.load, versions=seen)
        monkeypatch.setattr(redis, "down", False)
        return found

    assert await both() == ("old", "old")
    source.value = "new"
    await announce(redis, Topic.CONFIGURATION)
    assert await both() == ("old", "new")
    await announce(redis, Topic.USERS)
    assert await both() == ("new", "new")
    assert source.asked == 4


async def test_counters_that_cannot_be_read_say_what_they_said_last(redis):
    counters = ChangeCounters(redis, Topic.USERS, Topic.CONFIGURATION)
    await announce(redis, Topic.USERS)
    before = await counters.read()
    assert before == {Topic.USERS: redis.counters[Topic.USERS], Topic.CONFIGURATION: 0}
    await announce(redis, Topic.USERS, Topic.CONFIGURATION)
    redis.down = True
    assert await counters.read() == before
