"""A reply while it grows: its text so far, published for whoever wants to show it.

PUBLISH on a Redis channel, beside the queue: nobody listening, nothing kept, and no failure here is one
of the message. The reply itself goes the queue's way, whatever was shown before.
"""

import asyncio
from types import TracebackType
from typing import Self

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.contracts.messages import (
    MAX_OUTGOING_TEXT,
    STREAM_TO_TELEGRAM,
    IncomingMessage,
    PartialReply,
)
from service_kit.lifecycle import end_tasks
from service_kit.logging import get_logger

from ..core.model import TextSink
from ..utils.text import is_blank, shorten

log = get_logger(__name__)

FIRST_AFTER = 0.7
"""Seconds from the first text to the first message: a short answer is there before it."""
EVERY = 1.0
"""Seconds between two messages; the newest text wins. Telegram takes about one edit a second of a chat."""
SEND_TIMEOUT = 2.0


class PartialReplies:
    """Publishes the growing answer to one message; a context manager, over before the reply goes out.

    Costs nothing until there is a text; then one task, until the end.
    """

    def __init__(self, redis: aioredis.Redis, message: IncomingMessage) -> None:
        self._redis = redis
        self._message = message
        self._text = ""
        self._seq = 0
        self._changed = asyncio.Event()
        self._publisher: asyncio.Task[None] | None = None

    @property
    def on_text(self) -> TextSink | None:
        """Told the answer's text so far; none for a message without an id, whose reply has no name."""
        return None if self._message.id is None else self._take_text

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._publisher is not None:
            await end_tasks({self._publisher})

    def _take_text(self, text: str) -> None:
        if not text.startswith(self._text):
            self._seq = 0  # the answer began anew
        self._text = text
        if is_blank(text):
            return
        self._changed.set()
        if self._publisher is None:
            self._publisher = asyncio.create_task(self._publish())

    async def _publish(self) -> None:
        await asyncio.sleep(FIRST_AFTER)
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._send()
            await asyncio.sleep(EVERY)

    async def _send(self) -> None:
        if is_blank(self._text):
            return  # began anew since, and has come to nothing yet
        message = self._message
        self._seq += 1
        part = PartialReply(
            in_reply_to=message.id or "",
            chat_id=message.chat_id,
            user_id=message.user_id,
            seq=self._seq,
            text=shorten(self._text, MAX_OUTGOING_TEXT, "…"),
        )
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self._redis.publish(STREAM_TO_TELEGRAM, part.model_dump_json())
        except (RedisError, TimeoutError) as exc:
            log.debug("partial_reply_lost", reason=type(exc).__name__)
