"""What each consumer does beside its messages: heartbeat, due retries, the messages of dead consumers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from service_kit.backoff import Backoff
from service_kit.lifecycle import raise_if_cancelled, sleep_unless
from service_kit.logging import get_logger
from service_kit.queue.base import ConsumerOptions, ConsumerStats, Delivery
from service_kit.queue.redis_store import RedisStore
from service_kit.queue.results import Lease, LeaseLostError, QueueUnavailableError

log = get_logger(__name__)

LONGEST_RETRY_SLEEP = 1.0
"""Another replica may have scheduled an earlier retry and died: look again after this many seconds."""
SHORTEST_RETRY_SLEEP = 0.001


def redis_backoff() -> Backoff:
    """The backoff of one loop while Redis is away."""
    return Backoff(0.1, 2.0)


class Upkeep:
    """The consumer's chores, each a coroutine that runs until it is cancelled."""

    def __init__(
        self,
        store: RedisStore,
        options: ConsumerOptions,
        stats: ConsumerStats,
        *,
        notify_users: Callable[[Sequence[Delivery]], Awaitable[None]],
        rejoin: Callable[[Lease], Awaitable[None]],
        report: Callable[[str], None],
    ) -> None:
        self.retry_scheduled = asyncio.Event()
        """Set by the consumer when it has delayed a delivery: it may be due before all others."""
        self._store = store
        self._stats = stats
        self._notify_users = notify_users
        self._rejoin = rejoin
        self._report = report
        self._interval = options.heartbeat_ttl / 3
        self._queue = options.queue

    def chores(self) -> list[Coroutine[Any, Any, None]]:
        """What is to run beside the consumer."""
        never = asyncio.Event()  # these two wake by time alone
        return [
            self._repeat(self._heartbeat, never),
            self._repeat(self._reap, never),
            self._repeat(self._promote, self.retry_scheduled),
        ]

    async def _repeat(self, step: Callable[[], Awaitable[float]], wake: asyncio.Event) -> None:
        """Take `step` again and again, after the seconds it returns, or when `wake` is set."""
        backoff = redis_backoff()
        while True:
            # cleared before the step: what is set during it wakes the next one
            wake.clear()
            try:
                seconds = await step()
                backoff.reset()
            except QueueUnavailableError as exc:
                self._report(f"not reachable: {exc}")
                log.debug("upkeep_delayed", queue=self._queue, error=str(exc))
                seconds = backoff.next_delay()
            raise_if_cancelled()
            await sleep_unless(wake, seconds)

    async def _heartbeat(self) -> float:
        lease = self._store.lease
        try:
            await self._store.heartbeat()
        except LeaseLostError:
            await self._rejoin(lease)
        self._report("ok")
        return self._interval

    async def _reap(self) -> float:
        reaped = await self._store.reap()
        if reaped.requeued or reaped.dead_letters:
            self._stats.reaped += reaped.requeued
            self._stats.dead += len(reaped.dead_letters)
            log.warning(
                "dead_consumer_reaped",
                queue=self._queue,
                requeued=reaped.requeued,
                dead_letters=len(reaped.dead_letters),
            )
        await self._notify_users(reaped.dead_letters)
        return self._interval

    async def _promote(self) -> float:
        """Sleep until the next retry is due; no fixed tick, so that an idle process costs nothing."""
        due_in = await self._store.promote()
        if due_in is None:
            # another replica may delay a message meanwhile, and promotes it itself while it lives
            return self._interval
        return min(LONGEST_RETRY_SLEEP, max(SHORTEST_RETRY_SLEEP, due_in))
