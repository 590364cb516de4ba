"""A lease for polling: one process polls at a time, because Telegram accepts only one getUpdates.

The holder renews the lease; another instance waits and acquires it after it has expired. A process that
starts acquires it at once from its predecessor in the same slot: only one living process has a slot's name,
so the predecessor is dead.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NoReturn
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.lifecycle import end_tasks, raise_if_cancelled
from service_kit.logging import get_logger

log = get_logger(__name__)

TTL = 15.0
RENEW_EVERY = TTL / 3
STANDBY_EVERY = 2.0
RELEASE_TIMEOUT = 2.0

_ACQUIRE = """#!lua flags=allow-oom
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and (ARGV[2] == '' or string.sub(holder, 1, #ARGV[2]) ~= ARGV[2]) then
  return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return ARGV[1]
"""
_RENEW = """#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


class LeaseLostError(Exception):
    """Another process holds it, or it expired while Redis was away."""


class PollLease:
    """The right to poll as bot `name`."""

    def __init__(self, redis: aioredis.Redis, slot: str) -> None:
        self._slot = f"{slot}~"
        self._me = f"{self._slot}{uuid4().hex[:12]}"
        self._may_inherit = True
        self._acquire_script = redis.register_script(_ACQUIRE)
        self._renew_script = redis.register_script(_RENEW)
        self._release_script = redis.register_script(_RELEASE)

    async def hold(self, name: str, work: Callable[[], Awaitable[NoReturn]]) -> NoReturn:
        """Acquire the lease, then run `work`; cancel it when the lease is lost.

        Raises:
            LeaseLostError: it was lost.
            RedisError: Redis went away while we waited.
            Exception: what `work` raises.
        """
        key = f"tg:poller:{name}"
        await self._acquire(key)
        tasks = {asyncio.ensure_future(work()), asyncio.ensure_future(self._renew(key))}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            raise AssertionError  # neither of them returns
        finally:
            await end_tasks(tasks)
            await self._release(key)

    async def _release(self, key: str) -> None:
        with contextlib.suppress(RedisError, TimeoutError):  # the lease expires by itself
            async with asyncio.timeout(RELEASE_TIMEOUT):
                await self._release_script(keys=[key], args=[self._me])

    async def _acquire(self, key: str) -> None:
        waiting_for: str | None = None
        while True:
            raise_if_cancelled()
            inherit = self._slot if self._may_inherit else ""
            holder = (
                await self._acquire_script(keys=[key], args=[self._me, inherit, int(TTL * 1000)])
            ).decode()
            # only at the start: two living processes with the same slot would take it from each other
            self._may_inherit = False
            if holder == self._me:
                log.info("polling_lease_acquired")
                return
            if holder != waiting_for:
                log.info("polling_standby", holder=holder)
                waiting_for = holder
            await asyncio.sleep(STANDBY_EVERY)

    async def _renew(self, key: str) -> NoReturn:
        loop = asyncio.get_running_loop()
        ends = loop.time() + TTL
        while True:
            raise_if_cancelled()
            await asyncio.sleep(RENEW_EVERY)
            asked = loop.time()  # Redis counts its TTL from later on, so our end comes first
            try:
                async with asyncio.timeout(RENEW_EVERY):
                    if not await self._renew_script(keys=[key], args=[self._me, int(TTL * 1000)]):
                        raise LeaseLostError("another instance polls now")
                ends = asked + TTL
            except (RedisError, TimeoutError) as exc:
                if loop.time() + RENEW_EVERY > ends:
                    raise LeaseLostError("it could not be renewed in time") from exc
