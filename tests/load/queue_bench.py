"""What the queue alone can do: throughput of one consumer with a job that does nothing, and idle latency.

    python -m tests.load.queue_bench [--messages 40000] [--samples 300]

Starts a throw-away Valkey, or uses the Redis of TEST_REDIS_URL, whose present database it empties.
Takes about ten seconds; the figures are printed, nothing is judged.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sysconfig
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import uvloop
from pydantic import BaseModel

from ops.embedded import find_binaries
from service_kit.queue.base import ConsumerOptions, Delivery
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect
from service_kit.settings import RedisSettings
from service_kit.testing.servers import ThrowAwayServers

QUEUE, OUT = "queue:bench", "queue:bench_out"
USERS = 200


class Message(BaseModel):
    """As large as a short question."""

    id: str
    user_id: int
    text: str = "What time is it in Tokyo?"


def settings_of(url: str) -> RedisSettings:
    """Settings of the Redis at `url`."""
    parts = urlsplit(url)
    return RedisSettings(
        redis_host=parts.hostname or "127.0.0.1",
        redis_port=parts.port or 6379,
        redis_db=int(parts.path.strip("/") or 0),
        redis_password=unquote(parts.password) if parts.password else None,
    )


def processor_seconds() -> float:
    """Processor time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def throughput(settings: RedisSettings, count: int, *, reply: bool) -> str:
    """Messages a second from a full queue, and processor time of each."""
    async with connect(settings) as client:
        await client.flushdb()
        producer = RedisProducer(client)
        for start in range(0, count, 1000):
            batch = [(Message(id=f"m:{n}", user_id=n % USERS), None) for n in range(start, start + 1000)]
            await producer.enqueue_many(QUEUE, batch)

        served, all_served = 0, asyncio.Event()

        async def handler(delivery: Delivery) -> list[BaseModel]:
            nonlocal served
            served += 1
            if served == count:
                all_served.set()
            return [Message(id=delivery.id + ":r0", user_id=1)] if reply else []

        stop = asyncio.Event()
        options = ConsumerOptions(queue=QUEUE, out_queue=OUT, slot="bench", lane_cap=count)
        consumer = RedisConsumer(settings, options, handler)
        started, used = time.perf_counter(), processor_seconds()
        task = asyncio.create_task(consumer.run(stop))
        await all_served.wait()
        seconds, used = time.perf_counter() - started, processor_seconds() - used
        stop.set()
        await task
        return f"{count / seconds:8,.0f} messages/s   {used / count * 1e6:6.0f} µs of processor each"


async def latency(settings: RedisSettings, samples: int) -> str:
    """Milliseconds from push to start, one message at a time in an idle queue."""
    async with connect(settings) as client:
        await client.flushdb()
        producer = RedisProducer(client)
        arrived = asyncio.Event()
        milliseconds = []

        async def handler(_delivery: Delivery) -> list[BaseModel]:
            milliseconds.append((time.perf_counter() - pushed) * 1000)
            arrived.set()
            return []

        stop = asyncio.Event()
        consumer = RedisConsumer(settings, ConsumerOptions(queue=QUEUE, slot="bench"), handler)
        task = asyncio.create_task(consumer.run(stop))
        await asyncio.sleep(0.2)
        for n in range(samples):
            arrived.clear()
            pushed = time.perf_counter()
            await producer.enqueue(QUEUE, Message(id=f"l:{n}", user_id=n % USERS))
            await arrived.wait()
            await asyncio.sleep(0.005)
        stop.set()
        await task
        cuts = statistics.quantiles(milliseconds, n=100)
        return f"p50 {cuts[49]:5.2f} ms   p99 {cuts[98]:5.2f} ms"


async def idle(settings: RedisSettings, seconds: float) -> str:
    """Processor time of a consumer that has nothing to do."""

    async def handler(_delivery: Delivery) -> list[BaseModel]:
        return []

    stop = asyncio.Event()
    consumer = RedisConsumer(settings, ConsumerOptions(queue=QUEUE, slot="bench"), handler)
    task = asyncio.create_task(consumer.run(stop))
    await asyncio.sleep(0.2)
    used = processor_seconds()
    await asyncio.sleep(seconds)
    used = processor_seconds() - used
    stop.set()
    await task
    return f"{used / seconds * 100:.2f} % of a core"


async def measure(settings: RedisSettings, count: int, samples: int) -> None:
    """Print all figures."""
    print(f"no-op job          {await throughput(settings, count, reply=False)}")
    print(f"job with a reply   {await throughput(settings, count, reply=True)}")
    print(f"push to start      {await latency(settings, samples)}")
    print(f"idle               {await idle(settings, 2.0)}")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=40_000, help="of each throughput run (thousands)")
    parser.add_argument("--samples", type=int, default=300, help="of the latency")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if url := os.environ.get("TEST_REDIS_URL"):
            runner.run(measure(settings_of(url), options.messages, options.samples))
            return
        with ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers:
            url = servers.environment()["TEST_REDIS_URL"]
            runner.run(measure(settings_of(url), options.messages, options.samples))


if __name__ == "__main__":
    main()
