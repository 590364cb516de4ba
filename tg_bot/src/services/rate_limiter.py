"""Telegram's rate limits: so many messages a second overall and to one chat; 429 is obeyed.

Each limit is a sliding window, which is exact: in no second are there more messages than allowed, and a
first message never waits. A chat that must wait takes nothing from the others' share.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from .gate import Gate

MARGIN = 0.05
"""Seconds added to each window: Telegram counts arrivals, and the network does not keep our distances."""
CHATS_KEPT = 10_000
FLOODED_CHATS = 3
"""So many chats under a 429 at once mean that the bot as a whole is too fast."""

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class Window:
    """At most `rate` reservations a second (0 = any number)."""

    def __init__(self, rate: float) -> None:
        size = max(1, int(rate))
        self._taken: deque[float] | None = deque(maxlen=size) if rate > 0 else None
        self._seconds = size / rate + MARGIN if rate > 0 else 0.0

    def reserve(self, now: float) -> float:
        """Take the next free place; returns when it is."""
        if self._taken is None:
            return now
        full = len(self._taken) == self._taken.maxlen
        place = max(now, self._taken[0] + self._seconds) if full else now
        self._taken.append(place)
        return place

    def move_last_to(self, now: float) -> None:
        """The last reservation was used at `now`, later than it was for."""
        if self._taken:
            self._taken[-1] = now

    def is_idle(self, now: float) -> bool:
        """Whether it forgets nothing when it is thrown away."""
        return not self._taken or self._taken[-1] + self._seconds < now


class RateLimiter:
    """Says when the next message to a chat may go out."""

    def __init__(
        self, overall: float, per_chat: float, *, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._overall = Window(overall)
        self._gate = Gate()
        self._per_chat = per_chat
        self._chats: dict[int, Window] = {}
        self._paused: dict[int, float] = {}
        self._all_paused = float("-inf")
        self._now = now
        self._sleep = sleep

    @asynccontextmanager
    async def slot(self, chat_id: int) -> AsyncIterator[None]:
        """Wait until a message to this chat may be sent, and send it in the block; one at a time a chat."""
        window = self._window(chat_id)
        await self._until(window.reserve(self._now()))
        while (pause := self.pause_of(chat_id)) > 0:
            await self._sleep(pause)
        async with self._gate.place():
            await self._until(self._overall.reserve(self._now()))
            window.move_last_to(self._now())
            yield

    def pause(self, chat_id: int, seconds: float) -> None:
        """Telegram said 429 for this chat: nothing goes there for `seconds`."""
        now = self._now()
        self._paused = {chat: until for chat, until in self._paused.items() if until > now}
        self._paused[chat_id] = max(self._paused.get(chat_id, now), now + seconds)
        if len(self._paused) >= FLOODED_CHATS:
            self._all_paused = max(self._all_paused, min(self._paused.values()))

    def pause_of(self, chat_id: int) -> float:
        """Seconds until a pause that concerns this chat is over; 0 where there is none."""
        return max(0.0, max(self._paused.get(chat_id, 0.0), self._all_paused) - self._now())

    async def _until(self, when: float) -> None:
        if (seconds := when - self._now()) > 0:
            await self._sleep(seconds)

    def _window(self, chat_id: int) -> Window:
        window = self._chats.get(chat_id)
        if window is None:
            if len(self._chats) >= CHATS_KEPT:
                now = self._now()
                self._chats = {chat: one for chat, one in self._chats.items() if not one.is_idle(now)}
            window = self._chats[chat_id] = Window(self._per_chat)
        return window
