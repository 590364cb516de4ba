"""Threads for Google's blocking client, so that a Google that hangs blocks nothing else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 32
TIMEOUT = 30.0
"""Seconds that a caller waits for one call, the wait for a free thread included."""


class GoogleThreads:
    """Runs blocking calls; `close()` does not wait for those that hang."""

    def __init__(self, threads: int = THREADS, timeout: float = TIMEOUT) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="google")
        self._timeout = timeout

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns; raises TimeoutError where it takes too long."""
        loop = asyncio.get_running_loop()
        # the caller is freed; the thread itself cannot be cancelled and ends when Google answers
        async with asyncio.timeout(self._timeout):
            return await loop.run_in_executor(self._pool, partial(call, *args, **kwargs))

    def close(self) -> None:
        """Begin no further call."""
        self._pool.shutdown(wait=False, cancel_futures=True)
