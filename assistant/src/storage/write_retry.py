"""Retries of Redis writes whose content has been paid for."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from service_kit.backoff import Backoff
from service_kit.logging import get_logger

log = get_logger(__name__)


async def retry_write(write: Callable[[], Awaitable[None]], *, until: float) -> None:
    """Call `write` until Redis takes it; it must be safe to repeat.

    Raises:
        RedisError: Redis is still away at `until`, a time of the event loop's clock.
    """
    clock, backoff = asyncio.get_running_loop().time, Backoff(0.05, 1.0)
    while True:
        try:
            return await write()
        except RedisError as exc:
            delay = backoff.next_delay()
            if clock() + delay > until:
                raise
            log.warning("write_retried", reason=type(exc).__name__)
        await asyncio.sleep(delay)
