"""A consumer process for tests that kill it: REDIS_* from the environment, the slot as its argument."""

import asyncio
import sys

from service_kit.contracts.messages import OutgoingMessage
from service_kit.lifecycle import run
from service_kit.queue.base import Delivery
from service_kit.queue.consumer import RedisConsumer
from service_kit.settings import RedisSettings
from service_kit.testing.queue import options


async def handler(delivery: Delivery) -> list[OutgoingMessage]:
    await asyncio.sleep(0.005)  # a model that takes its time
    return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=int(delivery.group), text="answer")]


async def main(stop: asyncio.Event) -> None:
    quick = options(slot=sys.argv[1], heartbeat_ttl=1.0, concurrency=32)
    await RedisConsumer(RedisSettings(), quick, handler).run(stop)


if __name__ == "__main__":
    run(main)
