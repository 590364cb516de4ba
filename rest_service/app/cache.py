"""What the services read at every message, kept ready to be sent: never older than an answered change.

An entry carries the *token* that was valid before it was read: the value of its topic's change counter
(`service_kit.changes`), and for rows that change without an announcement a mark of their own. Every read
looks at the present token first and takes an entry only where both are equal. So a reader that was
overtaken by a change stores the old row under the old token, where nobody will take it: it needs no
lock and cannot stick. All who look at once, and all who have changed something, share one trip to Redis.

Two shelves: this process (no transfer, no parsing) and Redis (shared by all processes, and there after
a restart). Both are only as true as the counters, so while a change could not be announced, or Redis
does not answer, nothing is taken from either: the database answers, nobody waits, and one task tries
to reach Redis, announces what was missed, and only then opens the shelves again.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.changes import Topic, announce
from service_kit.logging import get_logger

from .kept import Key

log = get_logger(__name__)

TIMEOUT = 0.1
"""Seconds that whoever is the first to notice waits for a Redis that hangs; nobody waits after that."""
RETRY_DELAYS = (0.05, 0.1, 0.2, 0.5)
"""Seconds between attempts to reach Redis; the last one repeats."""
KEPT_SECONDS = 300
"""After this an entry is read anew from each shelf, for changes made past this service."""
KEPT_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 512
"""What an entry costs besides its body."""

Load = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class Counts:
    """How reads were answered, since the start."""

    hits: int = 0
    misses: int = 0
    bypassed: int = 0
    """The shelves were closed."""


@dataclass(frozen=True, slots=True)
class _Entry:
    token: bytes
    body: bytes
    kept_at: float


class _Shelf:
    """Entries in this process; the least recently used give way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def get(self, name: str, token: bytes) -> bytes | None:
        """The body under `token`; one that is old is dropped."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.token != token or time.monotonic() - entry.kept_at > KEPT_SECONDS:
            self.drop(name)
            return None
        self._entries.move_to_end(name)
        return entry.body

    def put(self, name: str, token: bytes, body: bytes) -> None:
        """Keep it, unless it is large enough to push out most others."""
        self.drop(name)
        if len(body) > self._limit // 8:
            return
        self._entries[name] = _Entry(token, body, time.monotonic())
        self._bytes += len(body) + _ENTRY_BYTES
        while self._bytes > self._limit:
            self.drop(next(iter(self._entries)))

    def drop(self, name: str) -> None:
        """Forget one."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES


@dataclass(slots=True)
class _Look:
    """One caller's question: the present token, and the entry where this process has none."""

    key: Key
    answer: "asyncio.Future[tuple[bytes, bytes | None] | None]"


@dataclass(slots=True)
class _News:
    """One commit's changes, to be told."""

    topics: frozenset[Topic]
    rows: list[Key]
    told: "asyncio.Future[bool]"


class LiveCache:
    """See the module. An async context manager; `redis` should not retry by itself."""

    def __init__(self, redis: aioredis.Redis, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.counts = Counts()
        self._redis = redis
        self._shelf = _Shelf(kept_bytes)
        self._flights: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._looks: list[_Look] = []
        self._news: list[_News] = []
        self._puts: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._closed = True
        # changes that were committed and are not announced; a predecessor may have died in between
        self._untold = set(Topic)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._try_to_open()
        self._task = asyncio.create_task(self._run(), name="live cache")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closed = True
        _send_on(self._looks, self._news)
        tasks = [task for task in (self._task, *self._flights.values()) if task is not None]
        for task in tasks:
            while not task.done():  # a cancellation that meets a timeout can be lost, until Python 3.12
                task.cancel()
                await asyncio.wait([task], timeout=0.2)

    @property
    def open(self) -> bool:
        """Whether the shelves are in use."""
        return not self._closed

    async def get(self, key: Key, load: Load) -> bytes:
        """The answer, kept or by `load`; however many ask for it at once, it is loaded once."""
        found = await self._look(key)
        if found is None:
            self.counts.bypassed += 1
            return await load()
        token, body = found
        if body is not None:
            self.counts.hits += 1
            return body
        self.counts.misses += 1
        # whoever has seen the same token may share: no change was answered since that load began
        flight = self._flights.get((key.name, token))
        if flight is None:
            flight = asyncio.create_task(self._fill(key, token, load), name=f"load {key.name}")
            self._flights[key.name, token] = flight
            flight.add_done_callback(lambda done: self._landed(key, token, done))
        return await asyncio.shield(flight)

    async def changed(self, topics: Iterable[Topic], rows: Iterable[Key] = ()) -> None:
        """Say what a commit has changed, before it is answered. Never fails, and never waits long."""
        topics, rows = frozenset(topics), [row for row in rows if row.topic not in topics]
        if not topics and not rows:
            return
        told = False
        try:
            if not self._closed:
                news = _News(topics, rows, asyncio.get_running_loop().create_future())
                self._news.append(news)
                self._wake.set()
                told = await news.told
        finally:  # also when the request is cancelled meanwhile
            if not told:
                self._untold |= topics | {row.topic for row in rows}
                self._close("change not announced")

    async def _fill(self, key: Key, token: bytes, load: Load) -> bytes:
        body = await load()
        self._shelf.put(key.name, token, body)
        if not self._closed:  # it goes along with the next look
            self._puts[key.entry] = token + b"\n" + body
            self._wake.set()
        return body

    def _landed(self, key: Key, token: bytes, flight: "asyncio.Task[bytes]") -> None:
        del self._flights[key.name, token]
        if not flight.cancelled():
            flight.exception()  # whoever still waits gets it; with nobody left it is nobody's concern

    async def _look(self, key: Key) -> tuple[bytes, bytes | None] | None:
        """The present token and the body kept under it; None while the shelves are closed."""
        while not self._closed:
            here = key.name in self._shelf
            answer: asyncio.Future[tuple[bytes, bytes | None] | None]
            answer = asyncio.get_running_loop().create_future()
            self._looks.append(_Look(key, answer))
            self._wake.set()
            found = await answer
            if found is None:
                return None
            token, body = found
            body = body or self._shelf.get(key.name, token)
            if body is not None or not here:
                return token, body
            # what this process had is old; another process may have put the new one into Redis
        return None

    async def _run(self) -> None:
        """One trip to Redis for all that wait; while closed, try to open."""
        attempt = 0
        while True:
            if self._closed:
                await asyncio.sleep(RETRY_DELAYS[min(attempt, len(RETRY_DELAYS) - 1)])
                attempt += 1
                await self._try_to_open()
                continue
            attempt = 0
            await self._wake.wait()
            self._wake.clear()
            looks, self._looks = self._looks, []
            news, self._news = self._news, []
            puts, self._puts = self._puts, {}
            try:
                await self._trip(looks, news, puts)
            except Exception as exc:
                # whatever it was, nobody may wait for ever: the database answers instead
                self._close(str(exc) or type(exc).__name__)
                if not isinstance(exc, RedisError | OSError):
                    log.exception("live_cache_failed")
            finally:
                _send_on(looks, news)

    async def _trip(self, looks: list[_Look], news: list[_News], puts: dict[str, bytes]) -> None:
        names = self._names(looks)
        async with asyncio.timeout(TIMEOUT), self._redis.pipeline(transaction=False) as pipe:
            # one step of a counter tells of all changes that were committed before it
            for topic in sorted({topic for one in news for topic in one.topics}):
                pipe.incr(topic)
            for mark in {row.mark for one in news for row in one.rows}:
                # a mark outlives every entry that was kept without it
                pipe.set(mark, uuid4().hex, ex=4 * KEPT_SECONDS)
            for entry, kept in puts.items():
                pipe.set(entry, kept, ex=KEPT_SECONDS)
            if names:
                pipe.mget(list(names))
            answers: list[Any] = await pipe.execute() if pipe.command_stack else []
        for one in news:
            if not one.told.done():
                one.told.set_result(True)
        if names:
            names.update(zip(names, answers[-1], strict=True))
            self._answer(looks, names)

    def _names(self, looks: list[_Look]) -> dict[str, bytes | None]:
        """Redis' keys of all that is asked for, with nothing found yet."""
        names: dict[str, bytes | None] = {}
        for look in looks:
            names[look.key.topic] = None
            if look.key.marked:
                names[look.key.mark] = None
            if look.key.name not in self._shelf:
                names[look.key.entry] = None
        return names

    def _answer(self, looks: list[_Look], found: dict[str, bytes | None]) -> None:
        for look in looks:
            counter = found[look.key.topic]
            if counter is None:  # Redis has lost its data: start from a number that was never used
                self._untold.add(look.key.topic)
                self._close("no change counter")
            elif not look.answer.done():
                token = counter + b":" + (found.get(look.key.mark) or b"")
                kept = found.get(look.key.entry)
                body = self._unpacked(look.key, token, kept) if kept is not None else None
                look.answer.set_result((token, body))

    def _unpacked(self, key: Key, token: bytes, kept: bytes) -> bytes | None:
        of, _, body = kept.partition(b"\n")
        if of != token:
            return None
        self._shelf.put(key.name, token, body)
        return body

    def _close(self, reason: str) -> None:
        if not self._closed:
            log.warning("live_cache_closed", reason=reason)
        self._closed = True
        self._wake.set()
        looks, self._looks = self._looks, []
        news, self._news = self._news, []
        self._puts.clear()
        _send_on(looks, news)

    async def _try_to_open(self) -> None:
        """Announce what was missed; with that Redis is known to work."""
        telling, self._untold = self._untold, set()
        told = False
        try:
            async with asyncio.timeout(TIMEOUT):
                for topic in telling:
                    await self._redis.set(topic, time.time_ns() // 1000, nx=True)
                told = await announce(self._redis, *telling) if telling else await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            pass  # still away
        if not told:
            self._untold |= telling
        elif not self._untold:  # or a change came meanwhile, and is told in the next round
            self._closed = False
            log.info("live_cache_open", announced=sorted(telling))


def _send_on(looks: list[_Look], news: list[_News]) -> None:
    """Whoever has no answer yet asks the database; what was not told is told later."""
    for look in looks:
        if not look.answer.done():
            look.answer.set_result(None)
    for one in news:
        if not one.told.done():
            one.told.set_result(False)
