"""The consumer: claims what may run, runs it, settles it; and keeps its part of the queue in order.

One consumer serves any number of groups side by side and each group's messages one after another,
whatever the number of replicas. A cancelled or killed consumer gives nothing back by itself: the next
process of its slot does so at its start, or another replica when the heartbeat has run out.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from service_kit.health import Health
from service_kit.lifecycle import end_tasks, raise_if_cancelled, sleep_unless
from service_kit.logging import bind_correlation, get_logger
from service_kit.queue.base import ConsumerOptions, ConsumerStats, Delivery, FailureNotice, Handler
from service_kit.queue.envelope import correlation_of, encode
from service_kit.queue.handler_call import HandlerFailure, Success, call_handler
from service_kit.queue.redis_store import RedisStore
from service_kit.queue.results import (
    Failure,
    Lease,
    LeaseLostError,
    Outcome,
    QueueUnavailableError,
    Settlement,
)
from service_kit.queue.upkeep import Upkeep, redis_backoff
from service_kit.settings import RedisSettings

log = get_logger(__name__)


class RedisConsumer:
    """A consumer of one queue, with two connections of its own. Runs once."""

    def __init__(
        self,
        settings: RedisSettings,
        options: ConsumerOptions,
        handler: Handler,
        *,
        failure_notice: FailureNotice | None = None,
        health: Health | None = None,
    ) -> None:
        self.stats = ConsumerStats()
        self._store = RedisStore(settings, options)
        self._options = options
        self._handler = handler
        self._failure_notice = failure_notice
        self._upkeep = Upkeep(
            self._store,
            options,
            self.stats,
            notify_users=self._notify_users,
            rejoin=self._rejoin,
            report=self._report,
        )
        self._health = health
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        self._slot_free = asyncio.Event()
        self._stop = asyncio.Event()
        self._stopped: asyncio.Task[bool]
        self._joining = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then drain and return.

        Connection errors are survived. Any other error of the queue itself ends the process's consumer,
        as an exception group: a process that only looks alive would be worse.
        """
        self._stop = stop
        self._report("starting")
        try:
            if not await self._join():
                return
            async with asyncio.TaskGroup() as background:
                self._stopped = background.create_task(stop.wait())
                chores = [
                    background.create_task(chore) for chore in (self._store.run(), *self._upkeep.chores())
                ]
                async with asyncio.TaskGroup() as workers:
                    await self._fetch(workers)
                    await self._drain()
                await self._leave()
                # last: leaving needs the committing task
                await end_tasks(chores)
        finally:
            await self._store.close()

    async def _join(self) -> bool:
        """Join the queue as soon as Redis answers; False when the stop comes first."""
        backoff = redis_backoff()
        while not self._stop.is_set():
            try:
                reaped = await self._store.join(replace=True)
            except QueueUnavailableError as exc:
                self._report_unreachable(exc)
                await sleep_unless(self._stop, backoff.next_delay())
                continue
            self.stats.reaped += reaped.requeued
            log.info("consumer_started", queue=self._options.queue, requeued=reaped.requeued)
            await self._notify_users(reaped.dead_letters)
            self._report("ok")
            return True
        return False

    async def _fetch(self, workers: asyncio.TaskGroup) -> None:
        """Claim and start messages while slots are free, until the stop."""
        backoff = redis_backoff()
        more = True
        while not self._stop.is_set():
            raise_if_cancelled()
            if len(self._tasks) >= self._options.concurrency:
                # what is not claimed waits in the queue, where other replicas can take it
                self._slot_free.clear()
                await self._run_unless_stopped(self._slot_free.wait())
                continue
            try:
                if more or await self._run_unless_stopped(self._store.wait()):
                    more = await self._claim(workers)
                backoff.reset()
            except QueueUnavailableError as exc:
                self._report_unreachable(exc)
                await sleep_unless(self._stop, backoff.next_delay())
                more = True

    async def _claim(self, workers: asyncio.TaskGroup) -> bool:
        """Claim once and start what came; whether there may be more."""
        lease = self._store.lease
        try:
            claimed = await self._store.claim(self._options.concurrency - len(self._tasks))
        except LeaseLostError:
            await self._rejoin(lease)
            return True
        if claimed.recovered:
            self.stats.reconciled += len(claimed.deliveries)
            log.info("deliveries_recovered", queue=self._options.queue, messages=len(claimed.deliveries))
        for delivery in claimed.deliveries:
            task = workers.create_task(self._work(claimed.lease, delivery))
            self._tasks[task] = claimed.lease
            task.add_done_callback(self._on_worker_done)
        self.stats.running = len(self._tasks)
        self.stats.dead += len(claimed.refused)
        await self._notify_users(claimed.refused)
        return claimed.more

    def _on_worker_done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self.stats.running = len(self._tasks)
        self._slot_free.set()

    async def _work(self, lease: Lease, delivery: Delivery) -> None:
        """Serve one delivery, then whatever waits behind it in its lane."""
        following: Delivery | None = delivery
        while following is not None:
            following = await self._serve(lease, following)
            raise_if_cancelled()

    async def _serve(self, lease: Lease, delivery: Delivery) -> Delivery | None:
        """Handle and settle one delivery; return the next one of its group, if this consumer holds it now."""
        result = await call_handler(self._handler, delivery, self._options.handler_timeout)
        if isinstance(result, Success) and result.replies and self._options.out_queue is None:
            result = HandlerFailure("the handler replied, but this consumer has no out queue", final=True)
        closing = self._stop.is_set()
        # while the consumer stops, the group's next message stays in the queue for another replica
        if isinstance(result, Success):
            settlement = await self._store.finish(lease, delivery, result.replies, closing=closing)
            self._record(delivery, settlement)
        else:
            failure = self._plan_retry(delivery, result)
            settlement = await self._store.fail(lease, delivery, failure, closing=closing)
            with bind_correlation(correlation_of(delivery)):
                self._record(delivery, settlement, failure, result.error)
        return settlement.next

    def _plan_retry(self, delivery: Delivery, failed: HandlerFailure) -> Failure:
        """When to try again, if at all, and what the user is told if this was the last attempt."""
        notice = self._build_notice(delivery)
        if failed.final:
            return Failure(failed.reason, None, notice)
        delay = self._options.backoff(delivery.attempt) if failed.delay is None else failed.delay
        longest_wait = self._options.longest_wait if failed.is_wait else None
        return Failure(failed.reason, max(0.0, delay), notice, longest_wait)

    def _build_notice(self, delivery: Delivery) -> bytes:
        """What the user is told about a dead letter; empty for nothing."""
        if self._failure_notice is None:
            return b""
        try:
            notice = self._failure_notice(delivery)
        except Exception:  # the message is broken already; it must still become a dead letter
            log.exception("failure_notice_failed", queue=self._options.queue, message_id=delivery.id)
            return b""
        return encode(notice) if notice else b""

    def _record(
        self,
        delivery: Delivery,
        settlement: Settlement,
        failure: Failure | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Count what became of a delivery; log it unless it went well."""
        about = {"queue": self._options.queue, "message_id": delivery.id, "attempt": delivery.attempt + 1}
        reason, notice = (failure.reason, failure.notice.decode()) if failure else ("", "")
        if settlement.outcome is Outcome.DONE:
            self.stats.done += 1
        elif settlement.outcome is Outcome.DELAYED:
            self.stats.retried += 1
            self._upkeep.retry_scheduled.set()
            log.warning("delivery_retried", reason=reason, exc_info=error, **about)
        elif settlement.outcome is Outcome.DEAD:
            self.stats.dead += 1
            log.error("delivery_dead_lettered", reason=reason, notice=notice, exc_info=error, **about)
        else:
            self.stats.fenced += 1
            log.warning("delivery_fenced", reason=reason, **about)

    async def _notify_users(self, dead_letters: Sequence[Delivery]) -> None:
        """Tell users about dead letters that the queue itself has made, without a failed handler."""
        notices = []
        for delivery in dead_letters:
            notice = self._build_notice(delivery)
            notices += [notice] if notice else []
            with bind_correlation(correlation_of(delivery)):
                log.error(
                    "delivery_dead_lettered",
                    queue=self._options.queue,
                    message_id=delivery.id,
                    notice=notice.decode(),
                )
        if notices:
            try:
                await self._store.notify(notices)
            except QueueUnavailableError as exc:
                log.warning("notices_lost", queue=self._options.queue, notices=len(notices), error=str(exc))

    async def _rejoin(self, lost: Lease) -> None:
        """Take a new lease: others have declared this consumer dead, and run what it still runs."""
        async with self._joining:
            if self._store.lease is not lost:  # the heartbeat and a claim may both have found it lost
                return
            await self._store.join(replace=False)
        stale = [task for task, lease in self._tasks.items() if lease is lost]
        log.warning("lease_lost", queue=self._options.queue, abandoned=len(stale))
        for task in stale:
            task.cancel()

    async def _drain(self) -> None:
        """Let running work end; what does not end in time is cancelled and given back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._options.drain_timeout)
        await end_tasks(self._tasks)

    async def _leave(self) -> None:
        try:
            requeued = await self._store.leave()
        except QueueUnavailableError as exc:
            log.warning("leave_failed", queue=self._options.queue, error=str(exc))
        else:
            log.info("consumer_stopped", queue=self._options.queue, requeued=requeued)

    async def _run_unless_stopped(self, coroutine: Coroutine[Any, Any, bool]) -> bool:
        """What `coroutine` returns; False when the stop comes first, which cancels it."""
        # `wait` takes no message and may be cancelled; a claim never is
        task = asyncio.create_task(coroutine)
        try:
            await asyncio.wait({task, self._stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks({task})
        if self._stop.is_set():
            return False
        return task.result()

    def _report(self, state: str) -> None:
        if self._health:
            self._health.set(self._options.queue, state)

    def _report_unreachable(self, exc: QueueUnavailableError) -> None:
        self._report(f"not reachable: {exc}")
        log.warning("queue_not_reachable", queue=self._options.queue, error=str(exc))
