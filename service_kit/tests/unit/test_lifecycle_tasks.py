"""Cancellations that get lost (see `raise_if_cancelled`)."""

import asyncio
import contextlib

import pytest

from service_kit.lifecycle import end_tasks, raise_if_cancelled, sleep_unless


async def losing_cancellations(times):
    """As a library that swallows a cancellation `times` times."""
    lost = 0
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
            if lost > times:
                raise


async def test_a_task_that_loses_cancellations_is_ended_all_the_same():
    task = asyncio.create_task(losing_cancellations(2))
    await asyncio.sleep(0)
    await end_tasks({task})
    assert task.cancelled()


async def test_tasks_that_have_ended_already_are_fine():
    async def failing():
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.wait({task})
    await end_tasks({task})
    await end_tasks([])


async def test_a_lost_cancellation_is_heeded():
    async def loop():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            raise_if_cancelled()

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_sleep_ends_with_the_stop():
    stop = asyncio.Event()
    assert not await sleep_unless(stop, 0.001)
    asyncio.get_running_loop().call_soon(stop.set)
    assert await sleep_unless(stop, 60)
