"""Telegram's rate limits: messages a second overall and to one chat, and pauses after a 429.

Each limit is a sliding window: no second has more messages than allowed, and a first message never waits. A
chat that waits uses nothing of the other chats' share.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

MARGIN = 0.05
"""Seconds added to each window: Telegram counts arrivals, and the network changes the distances."""
MAX_CHATS = 10_000
FLOODED_CHATS = 3
"""With a 429 for so many chats at once, the bot as a whole is too fast."""
PLACES = 1
"""Messages on their way at once (`Gate`)."""
HELD_FOR = 0.008
"""Seconds. However slow Telegram is, `PLACES / HELD_FOR` messages a second can start."""

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class Window:
    """A sliding window: at most `rate` reservations a second (0 = any number)."""

    def __init__(self, rate: float) -> None:
        size = max(1, int(rate))
        self._taken: deque[float] | None = deque(maxlen=size) if rate > 0 else None
        self._seconds = size / rate + MARGIN if rate > 0 else 0.0

    def reserve(self, now: float) -> float:
        """Reserve the next free place; returns its time."""
        if self._taken is None:
            return now
        full = len(self._taken) == self._taken.maxlen
        place = max(now, self._taken[0] + self._seconds) if full else now
        self._taken.append(place)
        return place

    def move_last_to(self, now: float) -> None:
        """Move the last reservation to `now`: it was used later than planned."""
        if self._taken:
            self._taken[-1] = now

    def is_idle(self, now: float) -> bool:
        """Whether no reservation in it counts any more, so that it may be deleted."""
        return not self._taken or self._taken[-1] + self._seconds < now


class Gate:
    """Limits how many messages are on their way to Telegram at once: `async with gate.place(): …send…`.

    A message that was sent but is not recorded in Redis comes twice when the process is killed; the Bot API
    has no idempotency key. So a message gets a place before it is sent. The place is free again when Telegram
    has answered and the answer is recorded, or after some milliseconds, so that a slow answer blocks no other
    chat. Without the gate, a process that is killed while it works through a backlog doubles 20 to 30
    messages; with the gate, one.
    """

    def __init__(self, *, places: int = PLACES, held_for: float = HELD_FOR) -> None:
        self._free = places
        self._held_for = held_for
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it for the block, for `held_for` seconds at most."""
        await self._acquire()
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                self._release()

        timer = asyncio.get_running_loop().call_later(self._held_for, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    async def _acquire(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place was given in the tick of the cancellation
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # a cancelled one takes no place
                turn.set_result(None)
                return
        self._free += 1


class RateLimiter:
    """Decides when the next message to a chat may be sent."""

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
        """Wait until a message to this chat may be sent; the block sends it, one at a time for each chat."""
        window = self._window(chat_id)
        await self._until(window.reserve(self._now()))
        while (pause := self.pause_of(chat_id)) > 0:
            await self._sleep(pause)
        async with self._gate.place():
            # with the place in hand: a reservation that is used late would let too many follow it
            await self._until(self._overall.reserve(self._now()))
            window.move_last_to(self._now())
            yield

    def pause(self, chat_id: int, seconds: float) -> None:
        """Send nothing to this chat for `seconds`, after a 429."""
        now = self._now()
        self._paused = {chat: until for chat, until in self._paused.items() if until > now}
        # a later, shorter wait does not end a longer one
        self._paused[chat_id] = max(self._paused.get(chat_id, now), now + seconds)
        if len(self._paused) >= FLOODED_CHATS:
            self._all_paused = max(self._all_paused, min(self._paused.values()))

    def pause_of(self, chat_id: int) -> float:
        """Seconds until the pause of this chat, or of all chats, is over; 0 without one."""
        return max(0.0, max(self._paused.get(chat_id, 0.0), self._all_paused) - self._now())

    async def _until(self, when: float) -> None:
        if (seconds := when - self._now()) > 0:
            await self._sleep(seconds)

    def _window(self, chat_id: int) -> Window:
        window = self._chats.get(chat_id)
        if window is None:
            if len(self._chats) >= MAX_CHATS:
                now = self._now()
                self._chats = {chat: one for chat, one in self._chats.items() if not one.is_idle(now)}
            window = self._chats[chat_id] = Window(self._per_chat)
        return window
