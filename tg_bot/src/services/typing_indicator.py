"""'typing…' from the moment a message goes on the queue until its answer is sent.

Telegram shows a chat action for 5 s at most, so it is renewed every 4 s. One worker serves all chats:
one call per chat at a time, few at once, and none for a chat whose answer was quicker. A failure here costs
nobody a message, so it is only logged.

Another instance of the bot may send the answer, and a message may become a dead letter without one. So before
each renewal the worker asks the queue which messages are settled.
"""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from service_kit.logging import get_logger

from ..client.errors import RetryAfterError, TelegramError
from ..client.telegram import TelegramClient

log = get_logger(__name__)

RENEW_EVERY = 4.0
CONCURRENT_CALLS = 8
CALL_IN_FLIGHT_TIMEOUT = 0.5
"""Seconds that an answer waits for a chat action in flight, which may arrive after it otherwise."""

FindSettled = Callable[[Sequence[str]], Awaitable[list[bool]]]
"""Which messages, by id, were answered or became dead letters; may raise RedisError."""


@dataclass(slots=True)
class _Waiting:
    """A chat with unanswered messages."""

    due: float
    """When the next call is due."""
    until: float
    """When the indicator expires."""
    messages: set[str] = field(default_factory=set)
    shown: bool = False


class TypingIndicator:
    """The chats that wait for an answer. `begin` and `end` never block; `run` does the calls."""

    def __init__(
        self,
        telegram: TelegramClient,
        find_settled: FindSettled,
        *,
        limit: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telegram = telegram
        self._find_settled = find_settled
        self._limit = limit
        self._now = now
        self._waiting: dict[int, _Waiting] = {}
        self._schedule: list[tuple[float, int]] = []
        """A heap of (due, chat). An entry that does not agree with `_waiting` is outdated and ignored."""
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def begin(self, chat_id: int, message_id: str) -> None:
        """The message goes to the assistant now. Call this before it can be answered."""
        if self._limit <= 0:  # switched off
            return
        now = self._now()
        waiting = self._waiting.get(chat_id)
        if waiting is None:
            waiting = self._waiting[chat_id] = _Waiting(due=now, until=now)
            self._call_at(chat_id, waiting, now)
        waiting.until = now + self._limit
        waiting.messages.add(message_id)

    def end(self, chat_id: int, message_id: str) -> None:
        """The answer is sent, or never will be."""
        waiting = self._waiting.get(chat_id)
        if waiting is None or message_id not in waiting.messages:
            return
        waiting.messages.remove(message_id)
        if not waiting.messages:
            del self._waiting[chat_id]
        elif chat_id not in self._calls:  # an answer ends the indicator in the chat, and more is to come
            self._call_at(chat_id, waiting, self._now())

    async def wait_for_call(self, chat_id: int) -> None:
        """Wait for a call in flight, so that it cannot arrive after the answer. Returns soon in any case."""
        if call := self._calls.get(chat_id):
            await asyncio.wait({call}, timeout=CALL_IN_FLIGHT_TIMEOUT)

    async def run(self) -> None:
        """Call Telegram whenever a call is due, for ever."""
        async with asyncio.TaskGroup() as calls:
            while True:
                self._changed.clear()
                pause = self._start_due(calls)
                try:
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def _start_due(self, calls: asyncio.TaskGroup) -> float | None:
        """Start the calls that are due.

        Returns the seconds until the next one; None where only a change can bring one.
        """
        now = self._now()
        while self._schedule and len(self._calls) < CONCURRENT_CALLS:
            due, chat_id = self._schedule[0]
            if due > now:
                return due - now
            heapq.heappop(self._schedule)
            waiting = self._waiting.get(chat_id)
            if waiting is None or waiting.due != due or chat_id in self._calls:
                continue
            if waiting.until <= now:
                log.debug("typing_expired", chat_id=chat_id)
                del self._waiting[chat_id]
                continue
            self._calls[chat_id] = calls.create_task(self._call(chat_id, waiting))
        return None

    def _call_at(self, chat_id: int, waiting: _Waiting, due: float) -> None:
        waiting.due = due
        heapq.heappush(self._schedule, (due, chat_id))
        self._changed.set()

    async def _call(self, chat_id: int, waiting: _Waiting) -> None:
        pause = RENEW_EVERY
        try:
            if waiting.shown:
                await self._end_settled(chat_id, waiting)
            if self._waiting.get(chat_id) is waiting:
                waiting.shown = True
                await self._telegram.send_chat_action(chat_id)
        except RetryAfterError as exc:
            log.debug("typing_paused", chat_id=chat_id, seconds=exc.retry_after)
            pause = max(pause, exc.retry_after)
        except (TelegramError, RedisError) as exc:
            log.debug("typing_failed", chat_id=chat_id, error=str(exc))
        finally:
            del self._calls[chat_id]
            self._changed.set()
        if now_waiting := self._waiting.get(chat_id):
            self._call_at(chat_id, now_waiting, self._now() + pause)

    async def _end_settled(self, chat_id: int, waiting: _Waiting) -> None:
        """End the indicator for messages that another instance has answered, and for dead letters."""
        messages = list(waiting.messages)
        for message, settled in zip(messages, await self._find_settled(messages), strict=True):
            if settled:
                self.end(chat_id, message)
