"""Makes a committed change of rest_service effective for the next message.

rest_service increments a counter in Redis after each commit, before it answers the request. Readers
keep what they read in process together with the counter's value, and look at the counters (one MGET)
before they use it. So whoever saw the change's answer sees the change in the next message; a lost
announcement (Redis down at that moment) heals when the entry's time to live ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.errors import NotFoundError, TransientError
from service_kit.logging import get_logger

log = get_logger(__name__)

T = TypeVar("T")

HOLD_OFF = 2.0
"""Seconds after a failed load in which the last known values serve without another try."""

REFRESH_TIMEOUT = 1.5
"""Seconds that whoever has a last known value waits for a new one."""


class Topic(StrEnum):
    """What changed; also the name of its counter."""

    CONFIGURATION = "changes:configuration"
    """Assistants, tools and links."""
    USERS = "changes:users"
    JOBS = "changes:jobs"
    """Cron jobs made, edited or deleted; not their firings."""


ANNOUNCE_TIMEOUT = 2.0
"""Seconds: a request waits for its announcement, but not for a Redis that hangs."""


async def announce(redis: aioredis.Redis, *topics: Topic) -> bool:
    """Announce to all readers, after the commit; returns whether Redis has taken it.

    Never fails: readers' time to live is the safety net.
    """
    try:
        async with asyncio.timeout(ANNOUNCE_TIMEOUT), redis.pipeline(transaction=False) as pipe:
            for topic in topics:
                # a counter that Redis has lost starts from a number that no reader has seen
                pipe.set(topic, time.time_ns() // 1000, nx=True)
                pipe.incr(topic)
            await pipe.execute()
    except (RedisError, TimeoutError) as exc:
        log.warning("change_not_announced", topics=list(topics), error=str(exc) or type(exc).__name__)
        return False
    return True


Versions = Mapping[Topic, int]
"""What the counters said."""


class ChangeCounters:
    """The counters of some topics, read together; for caches that are used for the same message."""

    def __init__(self, redis: aioredis.Redis, *topics: Topic) -> None:
        self._redis = redis
        self._topics = topics
        self._versions: Versions = dict.fromkeys(topics, 0)
        self._reading = asyncio.Lock()
        self._next_read: asyncio.Task[Versions] | None = None

    async def read(self) -> Versions:
        """The counters, as they are now or later; the last known ones when Redis is away.

        A caller that comes during a read shares the next read with other such callers: the running one
        may have missed a change that the caller knows of.
        """
        if self._next_read is None:
            self._next_read = asyncio.create_task(self._read())
        # shielded: other callers wait for the same read
        return await asyncio.shield(self._next_read)

    async def _read(self) -> Versions:
        async with self._reading:
            self._next_read = None
            try:
                counts = await self._redis.mget(self._topics)
            except RedisError as exc:
                log.warning("change_counters_unreadable", topics=list(self._topics), error=str(exc))
            else:
                self._versions = {
                    topic: int(count or 0) for topic, count in zip(self._topics, counts, strict=True)
                }
            return self._versions


class _Failure(NamedTuple):
    """The counter's value and the time (monotonic) of a load that failed."""

    version: int
    at: float


_NEVER = _Failure(-1, float("-inf"))
_HANGING = float("inf")
"""The time of failure of a load that hangs: nobody waits for it again while it does."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    version: int
    loaded_at: float
    failure: _Failure = _NEVER


@dataclass(frozen=True, slots=True)
class _Refresh(Generic[T]):
    """A load under way of a key that has a value."""

    version: int
    task: asyncio.Task[T]


class ChangeAwareCache(Generic[T]):
    """Values of one topic, kept in process, new as soon as the topic's counter moves.

    - The loader fails with a TransientError (rest_service is away) or takes longer than REFRESH_TIMEOUT
      (it hangs): the last known value serves. For HOLD_OFF seconds, other values that are merely old serve
      without another try, so that few callers wait for a service that is away.
    - Nothing is known of a key: the caller waits for the loader.
    - Redis is away: values serve until `ttl` seconds are over.
    - Many callers ask for a key at once: it is loaded once.
    """

    def __init__(
        self, redis: aioredis.Redis, topic: Topic, *, ttl: float = 30.0, max_entries: int = 10_000
    ) -> None:
        self._counters = ChangeCounters(redis, topic)
        self._topic = topic
        self._ttl = ttl
        self._max_entries = max_entries
        self._entries: dict[Hashable, _Entry[T]] = {}
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self._refreshes: dict[Hashable, _Refresh[T]] = {}
        """At most one of a key; one that takes too long goes on, and what it brings is kept."""
        self._failure = _NEVER

    async def get(
        self, key: Hashable, load: Callable[[], Awaitable[T]], *, versions: Versions | None = None
    ) -> T:
        """The value of `key`, loaded when it is not known, changed, or old.

        `versions` are the counters that the caller has just read; without them, they are read here.
        """
        version = (await self._counters.read() if versions is None else versions)[self._topic]
        entry = self._entries.get(key)
        if entry is not None and self._may_serve(entry, version):
            return self._touch(key, entry)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            # whoever waited here finds what the first has loaded, or that it could not be
            entry = self._entries.get(key)
            if entry is not None and self._may_serve(entry, version):
                return self._touch(key, entry)
            return await self._load(key, load, version, entry)

    async def _load(
        self, key: Hashable, load: Callable[[], Awaitable[T]], version: int, known: _Entry[T] | None
    ) -> T:
        # one caller tries whether the source is back; meanwhile the others serve old values
        if self._failure.version == version:
            self._failure = _Failure(version, max(self._failure.at, time.monotonic()))
        if known is None:
            return await self._fetch(key, load, version)
        refresh = self._refresh(key, load, version)
        await asyncio.wait({refresh}, timeout=REFRESH_TIMEOUT)
        try:
            if refresh.done():
                return refresh.result()
            at, error = _HANGING, f"no answer in {REFRESH_TIMEOUT:g} s"
        except TransientError as exc:
            at, error = time.monotonic(), str(exc)
        known.failure = self._failure = _Failure(version, at)
        log.warning("serving_last_known", topic=self._topic, key=str(key), error=error)
        return known.value

    def _refresh(self, key: Hashable, load: Callable[[], Awaitable[T]], version: int) -> asyncio.Task[T]:
        """The load that is under way, unless it may have missed a change."""
        refresh = self._refreshes.get(key)
        if refresh is not None and refresh.version == version:
            return refresh.task
        if refresh is not None:
            refresh.task.cancel()  # we hold the lock, so nobody waits for it any more
        task = asyncio.create_task(self._fetch(key, load, version))
        refresh = self._refreshes[key] = _Refresh(version, task)

        def on_done(task: asyncio.Task[T]) -> None:
            if self._refreshes.get(key) is refresh:
                del self._refreshes[key]
            now = _Failure(version, time.monotonic())
            known = self._entries.get(key)
            if known is not None and known.failure == (version, _HANGING):
                known.failure = now
            if self._failure == (version, _HANGING):
                self._failure = now
            if not task.cancelled():
                task.exception()  # retrieved, or asyncio logs it where nobody waits for it

        task.add_done_callback(on_done)
        return task

    async def _fetch(self, key: Hashable, load: Callable[[], Awaitable[T]], version: int) -> T:
        try:
            value = await load()
        except TransientError:
            self._failure = _Failure(version, time.monotonic())
            raise
        except NotFoundError:
            self.drop(key)  # or what was deleted would be served again while rest_service is away
            raise
        self._failure = _NEVER
        # the version from before the load: a change during it makes the next get load again
        self._keep(key, value, version)
        return value

    def _touch(self, key: Hashable, entry: _Entry[T]) -> T:
        """Its value; makes it the most recently used one."""
        # a dictionary keeps insertion order: the first entry is the least recently used one
        self._entries[key] = self._entries.pop(key)
        return entry.value

    def _keep(self, key: Hashable, value: T, version: int) -> None:
        if len(self._entries) >= self._max_entries and key not in self._entries:
            self._entries.pop(next(iter(self._entries)))
        self._entries.pop(key, None)
        self._entries[key] = _Entry(value, version, time.monotonic())

    def _may_serve(self, entry: _Entry[T], version: int) -> bool:
        """Whether this value is current, or a load has just failed and nothing was announced since.

        An announcement means that the source is back. A value older than the last announcement serves only
        after its own load has failed: another key's failure is no reason to serve what may be wrong.
        """
        now = time.monotonic()
        if entry.version == version and now - entry.loaded_at < self._ttl:
            return True
        failure = self._failure if entry.version == version else entry.failure
        return failure.version == version and now - failure.at < HOLD_OFF

    def peek(self, key: Hashable) -> T | None:
        """The last known value, perhaps an old one; for what may not wait."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def put(self, key: Hashable, value: T, versions: Versions) -> None:
        """Keep a value that the caller has got from the source, in answer to a change or another request.

        `versions` are the counters from before that request: what was announced since, the caller's own
        change too, makes the next `get` load. Until then this value is the last known one.
        """
        known = self._entries.get(key)
        if known is None or known.version <= versions[self._topic]:
            self._keep(key, value, versions[self._topic])

    def drop(self, key: Hashable) -> None:
        """Forget one value."""
        self._entries.pop(key, None)
