"""Sends one reply to one chat: its parts in order, under the rate limits, each once.

The progress is recorded (`progress`), so that a retry continues where the last one stopped.

An uncertain part (no answer, a 5xx, see `client.errors`) may have arrived, and the Bot API cannot tell. A
lost reply is worse than a doubled one, so the part is sent once more. Telegram must answer another call
before, or the one retry would be wasted on a network that is still down. If the result is uncertain again,
the message goes to the dead letters, where an operator sees it.
"""

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

import redis.asyncio as aioredis

from service_kit.logging import get_logger
from service_kit.queue.base import Reject, RetryLater

from ..client.errors import (
    BadRequestError,
    ChatMigratedError,
    ChatNotFoundError,
    RetryAfterError,
    UncertainError,
)
from ..client.telegram import TelegramClient
from ..utils.markdown import Part
from .progress import Progress, ProgressStore
from .rate_limiter import RateLimiter

log = get_logger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds of a 429 that are waited for here. After a longer one the queue tries again."""


class ReplySender:
    """Sends messages. Raises RetryLater, Reject, RedisError, and each TelegramError that it cannot handle."""

    def __init__(self, telegram: TelegramClient, limiter: RateLimiter, redis: aioredis.Redis) -> None:
        self._telegram = telegram
        self._limiter = limiter
        self._progress = ProgressStore(redis)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def send(self, chat_id: int, key: str, parts: Sequence[Part]) -> None:
        """Send the missing `parts`; `key` names the message in the progress store.

        The progress is always loaded: an earlier process may have sent the message and died before it could
        acknowledge.
        """
        # the queue keeps the order of a chat, unless one producer names it by user and another by chat
        lock = self._locks.setdefault(chat_id, asyncio.Lock())
        async with lock:
            progress = await self._progress.load(key)
            for number in range(progress.sent, len(parts)):
                unsure = progress.unsure and number == progress.sent
                chat_id = await self._send_part(chat_id, key, parts, number, unsure=unsure)

    async def forget(self, key: str) -> None:
        """Delete the progress of a message without an id (`ProgressStore.forget`)."""
        await self._progress.forget(key)

    async def _send_part(
        self, chat_id: int, key: str, parts: Sequence[Part], number: int, *, unsure: bool
    ) -> int:
        """Send one part; returns the chat's id, which may be a new one."""
        part = parts[number]
        if unsure:
            await self._telegram.get_me()  # raises while Telegram does not answer
        while True:
            if (
                pause := self._limiter.pause_of(chat_id)
            ) > LONGEST_PAUSE:  # a slot of the consumer must not wait that long
                raise RetryLater("Telegram told this chat to wait", delay=pause)
            try:
                async with self._limiter.slot(chat_id):
                    await self._telegram.send_message(chat_id, part.text, part.entities)
                    # before the next message may start: a kill now repeats this part and no other
                    await self._progress.save(key, Progress(number + 1), parts=len(parts))
            except RetryAfterError as exc:
                self._limiter.pause(chat_id, exc.retry_after)
                log.warning("rate_limited", chat_id=chat_id, seconds=exc.retry_after)
            except ChatMigratedError as exc:
                log.info("chat_migrated", chat_id=chat_id, new_chat_id=exc.new_chat_id)
                chat_id = exc.new_chat_id
            except BadRequestError as exc:
                part = _without_entities(part, exc)
                log.warning("entities_rejected", chat_id=chat_id, error=str(exc))
            except UncertainError as exc:
                if unsure:
                    raise Reject(f"sent twice without an answer, it may have arrived: {exc}") from exc
                await self._progress.save(key, Progress(number, unsure=True), parts=len(parts))
                raise
            else:
                return chat_id


def _without_entities(part: Part, refusal: BadRequestError) -> Part:
    """The part without entities, which may be what Telegram refuses; raises `refusal` if it has none."""
    if isinstance(refusal, ChatNotFoundError) or not part.entities:
        raise refusal
    return Part(part.text)
