"""Counts in Redis what may happen only so often, so that a restart forgets nothing.

Each call names its update and is idempotent for it: a crash between the count and the enqueue must neither
swallow a reply nor count an attempt twice.
"""

import redis.asyncio as aioredis

from .identity import Identity

PREFIX = "tg:throttle:"


class Throttle:
    """Counts by key, for each bot on its own. May raise RedisError."""

    def __init__(self, redis: aioredis.Redis, identity: Identity) -> None:
        self._redis = redis
        self._identity = identity

    async def once(self, key: str, update_id: int, *, seconds: int) -> bool:
        """Whether this is the first time in `seconds`."""
        before = await self._redis.set(self._key(key), update_id, nx=True, ex=seconds, get=True)
        return before is None or int(before) == update_id

    async def count(self, key: str) -> int:
        """How many different updates `add` has counted within its period."""
        return int(await self._redis.scard(self._key(key)))

    async def add(self, key: str, update_id: int, *, seconds: int) -> int:
        """Count this update; the period starts with the first. Returns the count with it."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self._key(key), update_id)
            pipe.expire(self._key(key), seconds, nx=True)
            pipe.scard(self._key(key))
            return int((await pipe.execute())[-1])

    def _key(self, key: str) -> str:
        return f"{PREFIX}{self._identity.bot_id}:{key}"
