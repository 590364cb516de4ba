"""Records in Redis how many parts of a message were sent, for this process after a restart and for others.

A full Redis accepts these writes too (`OomSafeWriter`). Where Redis is away or refuses them, the process
remembers the progress itself, because the same part would go out again at each try otherwise.
"""

import asyncio
from dataclasses import dataclass

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter

log = get_logger(__name__)

PREFIX = "part:"
PARTIAL_TTL = 86_400
"""Seconds: a message is tried for a day."""
COMPLETE_TTL = 3_600
"""Seconds. It comes again only where the process died before it could acknowledge."""
STORE_TIMEOUT = 2.0
"""Seconds that a message waits until its progress is stored."""
MAX_UNSTORED = 10_000
"""Messages; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`sent` parts arrived. With `unsure`, the next one was sent and not answered."""

    sent: int = 0
    unsure: bool = False


class ProgressStore:
    """The progress of messages, by their keys."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)
        self._unstored: dict[str, Progress] = {}
        """What Redis did not store."""

    async def load(self, key: str) -> Progress:
        """The progress of the message, here or in another instance; raises RedisError."""
        value = await self._redis.get(PREFIX + key)
        stored = Progress() if value is None else _parse(value)
        local = self._unstored.get(key, stored)
        # another instance may have sent more than this process knows, or this one more than Redis has stored
        sent = max(local.sent, stored.sent)
        return Progress(sent, unsure=any(one.unsure for one in (local, stored) if one.sent == sent))

    async def save(self, key: str, progress: Progress, *, parts: int) -> None:
        """Record the progress of a message of so many parts. Never fails."""
        ttl = COMPLETE_TTL if progress.sent == parts else PARTIAL_TTL
        mark = "?" if progress.unsure else ""
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                await self._writer.write(("SET", PREFIX + key, f"{progress.sent}{mark}", "EX", ttl))
        except (RedisError, TimeoutError) as exc:
            log.warning("progress_not_stored", key=key, error=str(exc) or type(exc).__name__)
            self._unstored.pop(key, None)  # to the end: the oldest is deleted first
            self._unstored[key] = progress
            if len(self._unstored) > MAX_UNSTORED:
                del self._unstored[next(iter(self._unstored))]
        else:
            self._unstored.pop(key, None)

    async def forget(self, key: str) -> None:
        """Delete the progress of a message without an id: the next one of the same text is another message.

        Raises RedisError.
        """
        await self._redis.delete(PREFIX + key)
        self._unstored.pop(key, None)


def _parse(stored: bytes | str) -> Progress:
    text = stored.decode() if isinstance(stored, bytes) else stored
    return Progress(int(text.rstrip("?")), unsure=text.endswith("?"))
