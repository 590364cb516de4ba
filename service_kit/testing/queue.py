"""For tests of and on the queue: what it holds, running consumers, waiting for a state."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import redis.asyncio as aioredis

from service_kit.queue import scripts
from service_kit.queue.base import ConsumerOptions, Depth, FailureNotice, Handler
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.dead_letters import DeadLetter
from service_kit.queue.producer import RedisProducer
from service_kit.settings import RedisSettings

IN, OUT = "queue:in", "queue:out"


def options(**changes: Any) -> ConsumerOptions:  # noqa: ANN401 - fields of the options
    """Options of a test's consumer: short waits, retries at once."""
    quick = ConsumerOptions(
        queue=IN,
        out_queue=OUT,
        slot="slot",
        block=0.2,
        heartbeat_ttl=5.0,
        drain_timeout=5.0,
        backoff=lambda _attempt: 0.0,
    )
    return replace(quick, **changes)


@asynccontextmanager
async def consuming(*consumers: RedisConsumer) -> AsyncIterator[RedisConsumer]:
    """Consumers that run inside the block, are stopped at its end and have drained after it."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for consumer in consumers:
            group.create_task(consumer.run(stop))
        yield consumers[0]
        stop.set()


async def until(
    look: Callable[[], Any],
    is_right: Callable[[Any], object] = bool,
    *,
    timeout: float = 20.0,  # noqa: ASYNC109 - of the test, not of a call
) -> None:
    """Look again and again, until what is seen (or awaited) is right; raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while True:
            seen = look()
            if is_right(await seen if inspect.isawaitable(seen) else seen):
                return
            await asyncio.sleep(0.002)


class RedisBackend:
    """Producers and consumers of a test's Redis, and what stands in its queues."""

    def __init__(self, settings: RedisSettings, client: aioredis.Redis) -> None:
        self._settings = settings
        self._client = client

    def producer(self) -> RedisProducer:
        """A producer."""
        return RedisProducer(self._client)

    def consumer(
        self, options: ConsumerOptions, handler: Handler, *, failure_notice: FailureNotice | None = None
    ) -> RedisConsumer:
        """A consumer."""
        return RedisConsumer(self._settings, options, handler, failure_notice=failure_notice)

    async def push(self, queue: str, raw: bytes) -> None:
        """Put bytes at the tail."""
        await self._client.rpush(queue, raw)

    async def messages(self, queue: str) -> list[bytes]:
        """The ready list."""
        return await self._list(queue)

    async def dead(self, queue: str) -> list[DeadLetter]:
        """The dead letters."""
        return [DeadLetter.parse(entry) for entry in await self._list(f"{queue}:dead")]

    async def depth(self, queue: str) -> Depth:
        """How many messages stand where."""
        return Depth(*await scripts.run(self._client, scripts.load("depth"), queue, ""))

    async def _list(self, key: str) -> list[bytes]:
        return [bytes(entry) for entry in await self._client.lrange(key, 0, -1)]  # type: ignore[arg-type]  # not decoded
