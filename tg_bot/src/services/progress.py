"""How far each message came: noted in Redis for the next life of this process, and for other instances.

A Redis that is full takes these notes all the same (`service_kit.notes`); it may be away, or refuse them for
another reason. What this process knows then counts, or the same part would go out again at each try; it is
lost only with the process.
"""

import asyncio
from dataclasses import dataclass

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.logging import get_logger
from service_kit.notes import Notes

log = get_logger(__name__)

PREFIX = "part:"
NOTE_TTL = 86_400
"""Seconds: a message is tried for a day."""
COMPLETE_TTL = 3_600
"""Seconds; it comes again only where the process died before it could acknowledge."""
NOTE_TIMEOUT = 2.0
"""Seconds that a message waits for its note."""
MAX_UNSTORED = 10_000
"""Messages; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`sent` parts arrived; `unsure`: the next was sent without an answer."""

    sent: int = 0
    unsure: bool = False


class ProgressNotes:
    """Progress by the message's key."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._notes = Notes(redis)
        self._unstored: dict[str, Progress] = {}
        """What Redis did not take."""

    async def load(self, key: str) -> Progress:
        """How far the message came, here or in another instance; raises RedisError."""
        stored = await self._redis.get(PREFIX + key)
        noted = Progress() if stored is None else _parse(stored)
        known = self._unstored.get(key, noted)
        sent = max(known.sent, noted.sent)
        return Progress(sent, unsure=any(one.unsure for one in (known, noted) if one.sent == sent))

    async def save(self, key: str, progress: Progress, *, parts: int) -> None:
        """Note how far a message of so many parts came. Never fails."""
        ttl = COMPLETE_TTL if progress.sent == parts else NOTE_TTL
        mark = "?" if progress.unsure else ""
        try:
            async with asyncio.timeout(NOTE_TIMEOUT):
                await self._notes.write(("SET", PREFIX + key, f"{progress.sent}{mark}", "EX", ttl))
        except (RedisError, TimeoutError) as exc:
            log.warning("progress_not_stored", key=key, error=str(exc) or type(exc).__name__)
            self._unstored.pop(key, None)
            self._unstored[key] = progress
            if len(self._unstored) > MAX_UNSTORED:
                del self._unstored[next(iter(self._unstored))]
        else:
            self._unstored.pop(key, None)

    async def forget(self, key: str) -> None:
        """Its key is no id, and the next message of the same text is another one; raises RedisError."""
        await self._redis.delete(PREFIX + key)
        self._unstored.pop(key, None)


def _parse(stored: bytes | str) -> Progress:
    text = stored.decode() if isinstance(stored, bytes) else stored
    return Progress(int(text.rstrip("?")), unsure=text.endswith("?"))
