"""What was deleted in rest_service is forgotten where it is kept as well.

rest_service's database lists every thread that lost its row and every user who is gone, whatever the way
(`service_kit.contracts.discards`). The sweeper goes through the list about every ten seconds and soon
after `/new`: threads are deleted at the provider, users' conversations here. A row leaves the list when
that is done; what fails stays, is tried again after a minute, and holds nothing else up. Several replicas
may sweep at once, for everything here may be done twice; the jitter makes that seldom.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import RedisError

from service_kit.contracts.discards import DiscardKind, DiscardRead
from service_kit.errors import KitError, NotFoundError
from service_kit.lifecycle import raise_if_cancelled, sleep_unless
from service_kit.logging import get_logger
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.rest.endpoints import PAGE

from ..core.errors import AssistantError
from ..storage.provider_threads import ProviderThreads
from ..storage.user_data import UserData

log = get_logger(__name__)

EVERY = 10.0
"""Seconds between two sweeps, a quarter more or less; one that finds nothing is one short request."""
RETRY_AFTER = 60.0
"""Seconds until a row that failed is tried again."""
MIN_PAUSE = 1.0
"""Seconds between two sweeps at least: one that forgets a user calls for the next one itself."""
CONCURRENCY = 4
"""Rows that are worked on side by side."""


class DiscardSweeper:
    """One for the process; `run` is its task."""

    def __init__(
        self,
        rest: AsyncRestClient,
        threads: ProviderThreads,
        user_data: Sequence[UserData],
        *,
        delete_thread: Callable[[str], Awaitable[None]],
        every: float = EVERY,
    ) -> None:
        self._rest = rest
        self._threads = threads
        self._user_data = user_data
        self._delete_thread = delete_thread
        self._every = every
        self._retry_at: dict[int, float] = {}
        """Rows that failed, by id, and the event loop's time until which they are left alone."""

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            raise_if_cancelled()
            self._threads.forgotten.clear()
            try:
                await self.sweep()
            except (KitError, RedisError) as exc:
                log.info("sweep_postponed", reason=str(exc) or type(exc).__name__)
            except Exception:  # a bug here must not end the service that answers people
                log.exception("sweep_broken")
            await asyncio.sleep(MIN_PAUSE)
            pause = self._every * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            await sleep_unless(self._threads.forgotten, pause)

    async def sweep(self) -> None:
        """One time through the list.

        Raises:
            KitError: rest_service is away.
            RedisError: Redis is.
        """
        await self._threads.delete_forgotten_rows()
        now = asyncio.get_running_loop().time()
        self._retry_at = {row_id: until for row_id, until in self._retry_at.items() if until > now}
        kept = done = failed = 0
        while rows := await self._rest.send(endpoints.discards(kept)):
            outcomes = await self._process_all([row for row in rows if row.id not in self._retry_at])
            done += outcomes.count(True)
            failed += outcomes.count(False)
            # what was deleted moves the rows behind it forward, so only what stays counts for the next page
            kept += len(rows) - outcomes.count(True)
            if len(rows) < PAGE:
                break
        if done or failed:
            log.info("sweep_done", done=done, kept=kept)

    async def _process_all(self, rows: Sequence[DiscardRead]) -> list[bool]:
        slots = asyncio.Semaphore(CONCURRENCY)

        async def one(row: DiscardRead) -> bool:
            async with slots:
                return await self._process(row)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(row)) for row in rows]
        return [task.result() for task in tasks]

    async def _process(self, row: DiscardRead) -> bool:
        try:
            await self._delete(row)
        except (AssistantError, KitError, RedisError, ValueError) as exc:
            log.warning("discard_kept", discard=row.id, kind=row.kind, reason=f"{type(exc).__name__}: {exc}")
            self._retry_at[row.id] = asyncio.get_running_loop().time() + RETRY_AFTER
            return False
        return True

    async def _delete(self, row: DiscardRead) -> None:
        match row.kind:
            case DiscardKind.THREAD:
                await self._delete_thread(row.reference)
            case DiscardKind.USER:
                for data in self._user_data:
                    await data.forget(int(row.reference))
            case _:
                msg = f"unknown kind {row.kind!r}"
                raise ValueError(msg)
        try:
            await self._rest.send(endpoints.delete_discard(row.id))
        except NotFoundError:
            log.debug("discard_already_deleted", discard=row.id)
