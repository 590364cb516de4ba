"""Producers on Redis: dedupe, message and offset in one atomic step."""

from collections.abc import Sequence

import redis.asyncio as aioredis
from pydantic import BaseModel

from service_kit.queue import scripts
from service_kit.queue.base import Offset
from service_kit.queue.envelope import encode, id_of

SEEN_TTL = 86_400
"""Seconds for which a repeated id is dropped; Telegram keeps its updates as long."""

_ENQUEUE = scripts.load("enqueue")


class RedisProducer:
    """Implements `base.Producer`. All methods raise `redis.exceptions.RedisError` when Redis is away.

    After such an error the message may or may not stand in the queue; calling again with the same id
    is right in both cases.
    """

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis

    async def enqueue(
        self, queue: str, message: BaseModel, *, offset: Offset | None = None, front: bool = False
    ) -> bool:
        """Put `message` at the tail (or head) of `queue`, once per `message.id`; False for a repeat."""
        stored = await scripts.run(
            self._redis, _ENQUEUE, queue, "", SEEN_TTL, *entry(message, offset, front=front)
        )
        return bool(stored[0])

    async def enqueue_many(self, queue: str, batch: Sequence[tuple[BaseModel, Offset | None]]) -> list[bool]:
        """Put all messages at the tail, in order, in one atomic step and one round trip."""
        if not batch:
            return []
        arguments = [argument for message, offset in batch for argument in entry(message, offset)]
        stored = await scripts.run(self._redis, _ENQUEUE, queue, "", SEEN_TTL, *arguments)
        return [bool(one) for one in stored]

    async def store_offset(self, offset: Offset) -> None:
        """Store a position without a message."""
        await self._redis.set(offset.key, offset.value)

    async def load_offset(self, key: str) -> int | None:
        """The stored position, or None."""
        value = await self._redis.get(key)
        return None if value is None else int(value)

    async def waiting(self, queue: str) -> int:
        """How many messages stand in the ready list."""
        return await self._redis.llen(queue)


def entry(
    message: BaseModel, offset: Offset | None = None, *, front: bool = False
) -> tuple[scripts.Argument, ...]:
    """The arguments of `enqueue.lua` for one message."""
    key, value = (offset.key, offset.value) if offset else ("", 0)
    return id_of(message), encode(message), "1" if front else "0", key, value
