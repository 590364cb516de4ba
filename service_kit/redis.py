"""Connections to Redis, with the defaults of redis-py 8 that bite set right.

Its `socket_timeout` of 5 s would break every blocking call of that length, and its pool of 100
connections raises when the 101st command comes (both measured with redis 8.1.0). So blocking
consumers get a client of their own, and the command client waits for a free connection.
"""

import redis
import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry as SyncRetry

from service_kit.settings import RedisSettings

RETRYABLE = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError)
"""What a server that restarts, loads or fails over answers: a later call may succeed."""

COMMAND_TIMEOUT = 10.0
"""Seconds for one ordinary command."""

SYNC_TIMEOUT = 5.0
"""The same from a thread, whose callers repeat it."""


def connect(settings: RedisSettings, *, max_connections: int = 64) -> aioredis.Redis:
    """A client for ordinary commands. Opens nothing yet; close it with `aclose()`."""
    # waits for a free connection instead of raising at the limit
    pool = aioredis.BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=max_connections,
        timeout=COMMAND_TIMEOUT,
        socket_timeout=COMMAND_TIMEOUT,
        socket_connect_timeout=5.0,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries=3),
    )
    return aioredis.Redis.from_pool(pool)


def connect_blocking(settings: RedisSettings, *, block: float) -> aioredis.Redis:
    """A client for calls that block up to `block` seconds; it never retries by itself."""
    # a retry inside the client would hide from the queue that an answer was lost
    return aioredis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=block + 10.0,
        socket_connect_timeout=5.0,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries=0),
    )


def connect_sync(settings: RedisSettings, *, max_connections: int = 64) -> redis.Redis:
    """A client for ordinary commands from threads; it never retries by itself, for its callers do.

    Opens nothing yet; close it with `close()`.
    """
    pool = redis.BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=max_connections,
        timeout=SYNC_TIMEOUT,
        socket_timeout=SYNC_TIMEOUT,
        socket_connect_timeout=SYNC_TIMEOUT,
        retry=SyncRetry(NoBackoff(), retries=0),
    )
    return redis.Redis.from_pool(pool)
