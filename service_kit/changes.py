"""How a committed change of rest_service is in force for the next message.

rest_service increments a counter in Redis after each commit, before it answers the request. Readers
keep what they read in process together with the counter's value, and look at the counter (one GET)
before they use it. So whoever saw the change's answer sees the change in the next message; a lost
announcement (Redis down at that moment) heals when the entry's time to live ends.
"""

import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.errors import TransientError
from service_kit.logging import get_logger

log = get_logger(__name__)

T = TypeVar("T")


class Topic(StrEnum):
    """What changed; also the name of its counter."""

    CONFIGURATION = "changes:configuration"
    """Assistants, tools and links."""
    USERS = "changes:users"
    JOBS = "changes:jobs"
    """Cron jobs made, edited or deleted; not their firings."""


async def announce(redis: aioredis.Redis, *topics: Topic) -> None:
    """Tell all readers, after the commit. Never fails: readers' time to live is the safety net."""
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for topic in topics:
                pipe.incr(topic)
            await pipe.execute()
    except RedisError as exc:
        log.warning("change_not_announced", topics=list(topics), error=str(exc))


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    version: int
    loaded_at: float


class ChangeAwareCache(Generic[T]):
    """Values of one topic, kept in process, new as soon as the topic's counter moves.

    When the loader fails with a TransientError (rest_service is away), the last known value serves.
    When Redis is away, values serve until `ttl` seconds are over.
    """

    def __init__(
        self, redis: aioredis.Redis, topic: Topic, *, ttl: float = 30.0, max_entries: int = 10_000
    ) -> None:
        self._redis = redis
        self._topic = topic
        self._ttl = ttl
        self._max_entries = max_entries
        self._entries: dict[Hashable, _Entry[T]] = {}
        self._version = 0

    async def get(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """The value of `key`, loaded when it is not known, changed, or old."""
        version = await self._current_version()
        entry = self._entries.get(key)
        if entry and entry.version == version and time.monotonic() - entry.loaded_at < self._ttl:
            return entry.value
        try:
            value = await load()
        except TransientError as exc:
            if entry is None:
                raise
            log.warning("serving_last_known", topic=self._topic, key=str(key), error=str(exc))
            return entry.value
        if len(self._entries) >= self._max_entries and key not in self._entries:
            self._entries.pop(next(iter(self._entries)))
        # the version from before the load: a change during it makes the next get load again
        self._entries[key] = _Entry(value, version, time.monotonic())
        return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value that another call brought along."""
        self._entries[key] = _Entry(value, self._version, time.monotonic())

    def drop(self, key: Hashable) -> None:
        """Forget one value."""
        self._entries.pop(key, None)

    async def _current_version(self) -> int:
        try:
            self._version = int(await self._redis.get(self._topic) or 0)
        except RedisError as exc:
            log.warning("change_counter_unreadable", topic=self._topic, error=str(exc))
        return self._version
