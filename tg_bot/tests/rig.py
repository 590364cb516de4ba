"""One bot process's polling side, for tests."""

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from service_kit.contracts.messages import IncomingMessage
from service_kit.lifecycle import end_tasks
from service_kit.queue.producer import RedisProducer
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.intake import Intake
from tg_bot.src.services.lanes import Lanes
from tg_bot.src.services.lease import PollLease
from tg_bot.src.services.poller import Poller, PollOptions
from tg_bot.src.services.typing_indicator import TypingIndicator
from tg_bot.tests.standin import BOT_ID, NOW

OFFSET = "tg:offset:777000"
NEWCOMER = 2002
PERSON: dict[str, Any] = {"id": 1001, "first_name": "Ada"}
PRIVATE = {"id": 1001, "type": "private"}
BODY: dict[str, Any] = {"message_id": 1, "date": NOW, "chat": PRIVATE, "from": PERSON, "text": "hi"}


async def for_the_assistant(update):
    message = update.message
    return IncomingMessage(
        id=f"tg:{update.update_id}", user_id=1, chat_id=message.chat.id, text=message.text or "?"
    )


class Naps:
    """Sleeps only a moment, and remembers how long it should have."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        await asyncio.sleep(0.005)


class Rig:
    """One bot process's polling side."""

    def __init__(self, client, redis, *, handle=for_the_assistant, slot="slot", limit=1000):
        self.naps = Naps()
        self.started = 0
        producer = RedisProducer(redis)
        self.typing = TypingIndicator(client, partial(producer.find_settled, "queue:in"), limit=60)
        self.lanes = Lanes(handle, Identity(BOT_ID))
        self.intake = Intake(
            producer,
            self.typing,
            self.lanes,
            input_queue="queue:in",
            output_queue="queue:out",
        )
        self.poller = Poller(
            client,
            producer,
            PollLease(redis, slot),
            self.intake,
            redis=redis,
            options=PollOptions(input_queue="queue:in", input_queue_limit=limit, poll_timeout=1),
            on_start=self._on_start,
            sleep=self.naps,
        )

    async def _on_start(self, bot):
        assert bot.id == BOT_ID
        self.started += 1

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.poller.run())
        try:
            yield self
        finally:
            assert not task.done(), task
            await end_tasks([task])


async def texts(redis, queue="queue:in"):
    return [json.loads(raw)["text"] for raw in await redis.lrange(queue, 0, -1)]


def has(redis, *expected, queue="queue:in"):
    async def check():
        return await texts(redis, queue) == list(expected)

    return check
