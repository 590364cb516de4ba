"""Announces to the other services what a commit has changed, before the commit is answered.

Each topic has a counter in Redis, which readers compare (`service_kit.changes`). While Redis is away a
change is answered without waiting, and one task announces it as soon as Redis is back.
"""

import asyncio
from collections.abc import Iterable
from typing import Self

import redis.asyncio as aioredis

from service_kit.backoff import Backoff
from service_kit.changes import Topic, announce
from service_kit.lifecycle import end_tasks
from service_kit.logging import get_logger

log = get_logger(__name__)


class Announcer:
    """See the module. An async context manager; `redis` should not retry by itself."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        # a predecessor may have died between a commit and its announcement
        self._pending = set(Topic)
        self._is_away = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._wake.set()
        self._task = asyncio.create_task(self._announce_pending(), name="announcements")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def announce(self, topics: Iterable[Topic]) -> None:
        """Return when the counters have moved, or when Redis is known to be away. Never fails."""
        topics = frozenset(topics)
        if not topics:
            return
        is_announced = False
        try:
            if not self._is_away:
                is_announced = await announce(self._redis, *topics)
                self._is_away = not is_announced
        finally:  # also when the request is cancelled meanwhile
            if not is_announced:
                self._pending |= topics
                self._wake.set()

    async def _announce_pending(self) -> None:
        backoff = Backoff(0.05, 0.5)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                topics, self._pending = frozenset(self._pending), set()
                if await announce(self._redis, *topics):
                    self._is_away = False
                    backoff.reset()
                    log.info("changes_announced", topics=sorted(topics))
                    continue
                self._is_away = True
                self._pending |= topics
                await asyncio.sleep(backoff.next_delay())
