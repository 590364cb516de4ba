"""How many messages are on their way to Telegram at once: as few as keep the pace.

What was sent, and not yet noted in Redis as sent, comes twice when the process is killed; the Bot API has
no way to tell. So a message gets a place before it is sent, and the place is free again when Telegram has
answered and that is noted, or after some milliseconds: a slow answer (the real network, one chat that
Telegram is slow with) holds nobody up. Without it, a process that is killed while it works off a backlog
doubles 20 to 30 messages; with it, the one on its way.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PLACES = 1
HELD_FOR = 0.008
"""Seconds; however slow Telegram is, `PLACES / HELD_FOR` messages a second can start."""


class Gate:
    """`async with gate.place(): …send…`, first come, first served."""

    def __init__(self, *, places: int = PLACES, held_for: float = HELD_FOR) -> None:
        self._free = places
        self._held_for = held_for
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block, but not for long."""
        await self._take()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._give_back()

        timer = asyncio.get_running_loop().call_later(self._held_for, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    async def _take(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came together with the cancellation
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
