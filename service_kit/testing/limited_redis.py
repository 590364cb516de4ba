"""A Redis of a test's own that can be at its memory limit."""

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from ops.embedded import find_binaries
from service_kit.redis import connect
from service_kit.settings import RedisSettings
from service_kit.testing.queue import until
from service_kit.testing.servers import free_port


@dataclass(frozen=True, slots=True)
class LimitedRedis:
    """The server's address, and a client of it."""

    settings: RedisSettings
    client: aioredis.Redis

    async def fill(self) -> None:
        """From now on it has used more memory than it may."""
        await self.client.config_set("maxmemory", 1)

    async def free(self) -> None:
        """There is memory again."""
        await self.client.config_set("maxmemory", 0)


@asynccontextmanager
async def limited_redis(folder: Path) -> AsyncIterator[LimitedRedis]:
    """A server that runs inside the block; `noeviction`, as ours are."""
    server = find_binaries(Path(sysconfig.get_paths()["purelib"])).valkey_server
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    process = await asyncio.create_subprocess_exec(
        str(server), *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    settings = RedisSettings(redis_host="127.0.0.1", redis_port=port)
    client = connect(settings)
    try:
        await until(lambda: _answers(client))
        yield LimitedRedis(settings, client)
    finally:
        await client.aclose()
        process.kill()
        await process.wait()


async def _answers(client: aioredis.Redis) -> bool:
    try:
        return bool(await client.ping())
    except RedisError:
        return False
