import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from service_kit.lifecycle import sleep_unless

PROGRAM = """
import asyncio
from service_kit import lifecycle
from service_kit.logging import configure_logging
from service_kit.settings import ServiceSettings

async def main(stop):
    print("started", flush=True)
    {body}
    print("drained", flush=True)

configure_logging("a_service", ServiceSettings())
lifecycle.run(main)
"""
Process = subprocess.Popen[str]


@pytest.fixture
def start() -> Iterator[Callable[[str], Process]]:
    started: list[Process] = []

    def start_one(body: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(body=body)],
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n", process.communicate()
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def end(process: Process) -> tuple[int, str, str]:
    """Exit code, and what is left to read of its output and errors."""
    assert process.stdout is not None
    assert process.stderr is not None
    out = process.stdout.read()
    return process.wait(timeout=20), out, process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_service_drain_and_leave(start, number):
    process = start("await stop.wait()")
    process.send_signal(number)
    code, out, err = end(process)
    assert (code, out) == (0, "drained\n"), err
    assert '"event": "stopping"' in err
    assert "Traceback" not in err


def test_a_second_signal_leaves_at_once(start):
    process = start("await stop.wait(); print('draining', flush=True); await asyncio.sleep(600)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(signal.SIGTERM)
    assert end(process)[:2] == (1, "")


def test_an_error_ends_the_process_with_its_traceback(start):
    code, out, err = end(start("raise ValueError('broken')"))
    assert (code, out) == (1, "")
    assert "ValueError" in err


def test_a_service_that_is_done_leaves(start):
    assert end(start("pass"))[:2] == (0, "drained\n")


async def test_sleep_ends_when_the_time_is_over():
    assert not await sleep_unless(asyncio.Event(), 0.001)


async def test_sleep_ends_at_once_when_the_service_stops():
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(5):
        assert await sleep_unless(stop, 600)
