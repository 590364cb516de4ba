"""From process start to process end: signals become an Event, the service drains, the process leaves.

`run` is the only place that installs signal handlers and starts an event loop.
"""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import uvloop

from service_kit.logging import get_logger
from service_kit.proxies import bypass_proxies

log = get_logger(__name__)

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main) -> None:
    """Run `main(stop)` on a new event loop until it returns.

    SIGTERM and SIGINT set `stop`; a second signal ends the process at once with exit code 1, for a
    person who does not want to wait. An exception of `main` leaves as it is: the supervisor restarts.
    """
    _tune_garbage_collector()
    bypass_proxies()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_with_signals(main))


def _tune_garbage_collector() -> None:
    """Collect seldom, and leave out what the imports made: it lives as long as the process.

    A full collection over that stops everything for a third of a second (rest_service: 160,000 objects).
    With the usual threshold of 700 objects, collecting is a fifth of the assistant's work while hundreds
    of messages wait for the model: what belongs to them is looked through again and again.
    """
    # out of reach of all later collections
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


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
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()


def raise_if_cancelled() -> None:
    """Raise CancelledError where this task's cancellation got lost; for endless loops.

    Up to Python 3.11 `asyncio.wait_for`, with which redis-py sends every command, swallows a cancellation
    that comes in the moment its work is done: the command succeeds and the loop would turn for ever.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel `tasks`, again where a cancellation got lost, and wait until all have ended.

    What they raise is not raised here: a task group that owns them sees it.
    """
    ending = set(tasks)
    pending = ending
    while pending:
        # again each turn: see `raise_if_cancelled`
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)
    for task in ending:
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio logs it as lost
