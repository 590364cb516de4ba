"""From process start to process end: signals become an Event, the service drains, the process leaves.

`run` is the only place that installs signal handlers and starts an event loop.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable

import uvloop

from service_kit.logging import get_logger

log = get_logger(__name__)

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main) -> None:
    """Run `main(stop)` on a new event loop until it returns.

    SIGTERM and SIGINT set `stop`; a second signal ends the process at once with exit code 1, for a
    person who does not want to wait. An exception of `main` leaves as it is: the supervisor restarts.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_with_signals(main))


async def _with_signals(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("second_signal_leaving_at_once", signal=number.name)
            os._exit(1)
        log.info("stopping", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await main(stop)


async def sleep_unless(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but wake when `stop` is set; returns whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
