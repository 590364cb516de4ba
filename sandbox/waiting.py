"""Wakes those who wait for a change."""

import asyncio
import contextlib


class Signal:
    """Waiters wait until `fire`; each firing wakes all who wait at that moment."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake everybody."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        # who waits again from now on waits for the next firing
        self._waiters.clear()

    async def wait(self, seconds: float) -> None:
        """Return at the next firing, or after `seconds`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter
        finally:
            self._waiters.discard(waiter)
