"""The assistant's two queues, with the measuring process in the bot's place."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import BaseModel

from service_kit.contracts.messages import (
    QUEUE_TO_SECRETARY,
    QUEUE_TO_TELEGRAM,
    IncomingMessage,
    IncomingType,
    OutgoingMessage,
)
from service_kit.queue.base import ConsumerOptions, Delivery
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect
from service_kit.settings import RedisSettings
from tests.harness.suite import Suite
from tests.load.world import FIRST_CHAT, World


@dataclass
class QueueDoor:
    """Asks by the one queue and reads the replies on the other; the world keeps the times."""

    world: World
    producer: RedisProducer
    users: list[int]
    """Internal ids; the `n`-th user's chat is FIRST_CHAT + n."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, suite: Suite, world: World, users: int) -> AsyncIterator["QueueDoor"]:
        """With so many users made in rest_service, and the replies being read."""
        settings = redis_of(suite)
        redis = connect(settings)
        stop = asyncio.Event()
        door = cls(world, RedisProducer(redis), await asyncio.to_thread(_made, suite, users))
        options = ConsumerOptions(queue=QUEUE_TO_TELEGRAM, slot="load", concurrency=512)
        reading = asyncio.create_task(RedisConsumer(settings, options, door.note).run(stop))
        try:
            yield door
        finally:
            stop.set()
            await reading
            await redis.aclose()

    async def ask_all(self, users: Iterable[int]) -> None:
        """A question of each of them, in one step."""
        batch = []
        for user in users:
            number = self.world.next_question()
            message = IncomingMessage(
                id=f"load:{number}",
                user_id=self.users[user],
                chat_id=FIRST_CHAT + user,
                text=f"q{number}",
            )
            batch.append((message, None))
        await self.producer.enqueue_many(QUEUE_TO_SECRETARY, batch)

    async def begin_anew(self, users: Iterable[int]) -> None:
        """`/new` of each of them, in one step."""
        resets = [
            IncomingMessage(type=IncomingType.RESET, user_id=self.users[user], chat_id=FIRST_CHAT + user)
            for user in users
        ]
        await self.producer.enqueue_many(QUEUE_TO_SECRETARY, [(message, None) for message in resets])

    async def note(self, delivery: Delivery) -> Sequence[BaseModel]:
        """The queue's handler."""
        reply = OutgoingMessage.model_validate_json(delivery.raw)
        self.world.note_answer(reply.chat_id or 0, reply.text)
        return ()


def redis_of(suite: Suite) -> RedisSettings:
    """Where the suite's Redis is."""
    environment = suite.processes["rest_service"].environment
    names = ("REDIS_HOST", "REDIS_PORT", "REDIS_DB")
    password = urlsplit(suite.servers["TEST_REDIS_URL"]).password
    place = {name.lower(): environment[name] for name in names}
    return RedisSettings.model_validate(place | {"redis_password": password})


def _made(suite: Suite, users: int) -> list[int]:
    """The ids of new users, in order."""
    rows = (
        suite.rest("POST", "/api/users", {"telegram_id": FIRST_CHAT + number, "first_name": f"U{number}"})
        for number in range(users)
    )
    return [row["id"] for row in rows]
