"""Limits how many messages are on their way to Telegram at once.

A message that was sent but is not recorded in Redis comes twice when the process is killed; the Bot API has
no idempotency key. So a message gets a place before it is sent. The place is free again when Telegram has
answered and the answer is recorded, or after some milliseconds, so that a slow answer blocks no other chat.
Without the gate, a process that is killed while it works through a backlog doubles 20 to 30 messages; with
the gate, one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PLACES = 1
HELD_FOR = 0.008
"""Seconds. However slow Telegram is, `PLACES / HELD_FOR` messages a second can start."""


class Gate:
    """`async with gate.place(): …send…`; places are given in the order of the calls."""

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
