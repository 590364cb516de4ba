"""Producers on Redis: dedupe, message and offset in one atomic step."""

from collections.abc import Sequence

import redis.asyncio as aioredis
from pydantic import BaseModel

from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.queue import scripts
from service_kit.queue.base import Offset
from service_kit.queue.envelope import encode, id_of

SEEN_TTL = 86_400
"""Seconds for which a repeated id is dropped: a reminder may be put on the queue again by a cron_service that
was away since it did so first."""
SEEN_BESIDE_OFFSET = 3_600
"""The same where an offset is stored with the message. It outlives any absence, and a producer that goes on
from it brings no repeat; this is for the calls whose answers were lost."""

_ENQUEUE = scripts.load("enqueue")
LIFETIMES: tuple[scripts.Argument, ...] = ("", SEEN_TTL, SEEN_BESIDE_OFFSET)
"""The first arguments of `enqueue.lua`."""


class RedisProducer:
    """Puts messages on a queue. All methods raise `redis.exceptions.RedisError` when Redis is away.

    After such an error the message may or may not stand in the queue; calling again with the same id
    is right in both cases.
    """

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)

    async def enqueue(
        self, queue: str, message: BaseModel, *, offset: Offset | None = None, front: bool = False
    ) -> bool:
        """Put `message` at the tail (or head) of `queue`, once per `message.id`; False for a repeat.

        `offset` is stored in the same atomic step, for a repeat too.
        """
        stored = await scripts.run(
            self._redis, _ENQUEUE, queue, *LIFETIMES, *entry(message, offset, front=front)
        )
        return bool(stored[0])

    async def enqueue_many(self, queue: str, batch: Sequence[tuple[BaseModel, Offset | None]]) -> list[bool]:
        """Put all messages at the tail, in order, in one atomic step; the answers are those of `enqueue`."""
        if not batch:
            return []
        arguments = [argument for message, offset in batch for argument in entry(message, offset)]
        stored = await scripts.run(self._redis, _ENQUEUE, queue, *LIFETIMES, *arguments)
        return [bool(one) for one in stored]

    async def store_offset(self, offset: Offset) -> None:
        """Store a position without a message (an update that needs none)."""
        await self._writer.write(("SET", offset.key, offset.value))

    async def load_offset(self, key: str) -> int | None:
        """The stored position, or None."""
        value = await self._redis.get(key)
        return None if value is None else int(value)

    async def waiting(self, queue: str) -> int:
        """How many messages stand in the ready list; producers hold back above their limit."""
        return await self._redis.llen(queue)

    async def find_settled(self, queue: str, ids: Sequence[str]) -> list[bool]:
        """Whether each of these messages was answered or became a dead letter, in the last hour."""
        # the consumers' marks live for `done_ttl`
        marks = await self._redis.mget([f"{queue}:done:{one}" for one in ids]) if ids else []
        return [mark is not None for mark in marks]


def entry(
    message: BaseModel, offset: Offset | None = None, *, front: bool = False
) -> tuple[scripts.Argument, ...]:
    """The arguments of `enqueue.lua` for one message."""
    key, value = (offset.key, offset.value) if offset else ("", 0)
    return id_of(message), encode(message), "1" if front else "0", key, value
