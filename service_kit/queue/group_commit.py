"""Group commit: all results that are ready in the same turn of the event loop go in one round trip.

No result waits for others: what comes while a batch is on its way forms the next batch.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from service_kit.backoff import Backoff
from service_kit.lifecycle import raise_if_cancelled
from service_kit.logging import get_logger
from service_kit.queue.redis_errors import is_transient
from service_kit.queue.results import Settlement
from service_kit.queue.scripts import Argument, Script

log = get_logger(__name__)

LARGEST_BATCH = 128


@dataclass(slots=True, eq=False)
class _Commit:
    script: Script
    args: tuple[Argument, ...]
    read: Callable[[list[Any]], Settlement]
    result: asyncio.Future[Settlement]
    settled: bool = False

    def take(self, answer: Any) -> None:  # noqa: ANN401 - a reply, or the error in its place
        """Read the script's answer; raise a transient error, so that the batch is tried again."""
        if isinstance(answer, NoScriptError):  # the server has restarted: `_commit` loads the script
            return
        if isinstance(answer, Exception) and is_transient(answer):
            raise answer
        self.settled = True
        # a cancelled worker no longer waits for the result; `read` must still record what we hold
        if isinstance(answer, Exception):
            if not self.result.done():
                self.result.set_exception(answer)
            return
        settled = self.read(answer)
        if not self.result.done():
            self.result.set_result(settled)


class GroupCommit:
    """Runs settling scripts in batches, again and again until Redis has answered each.

    The scripts are safe to repeat. `read` turns a script's answer into the result; it runs while
    `lock` is held, so that whoever holds the lock sees what Redis and this process know agree.
    """

    def __init__(self, redis: aioredis.Redis, queue: str, on_error: Callable[[], None]) -> None:
        self.lock = asyncio.Lock()
        self._redis = redis
        self._queue = queue
        self._on_error = on_error
        self._commits: asyncio.Queue[_Commit] = asyncio.Queue()

    async def settle(
        self, script: Script, args: tuple[Argument, ...], read: Callable[[list[Any]], Settlement]
    ) -> Settlement:
        """Run `script` in the next batch. A caller that is cancelled takes nothing back."""
        result: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        # the scripts are sent whether or not the caller still waits: Redis decides once what became of it
        self._commits.put_nowait(_Commit(script, args, read, result))
        return await result

    async def flush(self) -> None:
        """Wait until everything handed in so far is settled."""
        await self._commits.join()

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            batch = [await self._commits.get()]
            while not self._commits.empty() and len(batch) < LARGEST_BATCH:
                batch.append(self._commits.get_nowait())
            size = len(batch)
            backoff = Backoff(0.05, 2.0)
            while batch := await self._commit(batch):
                raise_if_cancelled()
                await asyncio.sleep(backoff.next_delay())
            for _ in range(size):
                self._commits.task_done()
            raise_if_cancelled()

    async def _commit(self, batch: list[_Commit]) -> list[_Commit]:
        """One round trip; returns those to try again."""
        # whoever compares Redis with `lease.running` must not see one of them a step ahead
        async with self.lock:
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for commit in batch:
                        pipe.evalsha(commit.script.sha, 1, self._queue, *commit.args)
                    answers = await pipe.execute(raise_on_error=False)
                for commit, answer in zip(batch, answers, strict=True):
                    commit.take(answer)
                for script in {commit.script for commit in batch if not commit.settled}:
                    await self._redis.script_load(script.text)
            except (RedisError, OSError) as exc:
                if not is_transient(exc):
                    raise
                self._on_error()
                log.warning("queue_commit_delayed", queue=self._queue, results=len(batch), error=str(exc))
        return [commit for commit in batch if not commit.settled]
