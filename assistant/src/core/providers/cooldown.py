"""The wait that a provider asks for holds for everybody who uses the same key there.

Key: `cool_down:<account>`, gone when the wait is over. The account stands for the address and the key, and
tells neither; another key begins anew. A wait that one replica is asked for holds for all of them; without
Redis, for itself alone.
"""

import asyncio
import math
from hashlib import blake2b

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.logging import get_logger

log = get_logger(__name__)

PREFIX = "cool_down:"
LONGEST = 3600.0
"""Seconds. Some ask for days, until a quota begins anew; an operator may buy more before that."""
REDIS_TIMEOUT = 0.5
"""Seconds that a request of a model waits for a Redis that hangs."""


def account_of(url: str, key: str | None) -> str:
    """Names a key at an address."""
    return blake2b(f"{url}\n{key or ''}".encode(), digest_size=12).hexdigest()


class AccountCooldown:
    """Until when one account must not be used; for replicas that share `redis`, or for this process."""

    def __init__(self, account: str = "", redis: aioredis.Redis | None = None) -> None:
        self._key = PREFIX + account
        self._redis = redis
        self._until = 0.0
        """On the event loop's clock, what this process knows."""

    async def seconds_left(self) -> float:
        """How long it lasts yet; 0 where the account may be used."""
        left = self._until - asyncio.get_running_loop().time()
        if left > 0:
            return left
        return await self._seconds_left_elsewhere()

    async def begin(self, seconds: float) -> None:
        """Wait for so long; a longer wait that is known already stays."""
        seconds = min(seconds, LONGEST)
        self._note(seconds)
        milliseconds = math.ceil(seconds * 1000)
        if self._redis is None or milliseconds <= 0:
            return
        try:
            async with asyncio.timeout(REDIS_TIMEOUT), self._redis.pipeline(transaction=False) as pipe:
                # SET NX begins a wait, PEXPIRE GT lengthens one: another replica may know of a longer one
                pipe.set(self._key, 1, px=milliseconds, nx=True)
                pipe.pexpire(self._key, milliseconds, gt=True)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("cooldown_not_shared", reason=type(exc).__name__)

    async def _seconds_left_elsewhere(self) -> float:
        if self._redis is None:
            return 0.0
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                seconds = await self._redis.pttl(self._key) / 1000
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("cooldown_not_read", reason=type(exc).__name__)
            return 0.0
        if seconds <= 0:  # no such key
            return 0.0
        self._note(seconds)
        return float(seconds)

    def _note(self, seconds: float) -> None:
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)
