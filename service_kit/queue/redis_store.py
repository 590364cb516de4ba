"""The queue in Redis, as one consumer sees it: each move is one script.

A message is in exactly one of ready, lane, processing, delayed and dead until its reply exists.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import OutOfMemoryError, RedisError

from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.queue import scripts
from service_kit.queue.base import ConsumerOptions, Delivery
from service_kit.queue.group_commit import GroupCommit
from service_kit.queue.redis_errors import is_transient
from service_kit.queue.results import (
    Claim,
    Failure,
    Lease,
    LeaseLostError,
    Outcome,
    QueueUnavailableError,
    ReapResult,
    Settlement,
)
from service_kit.queue.scripts import Argument, Script
from service_kit.redis import connect_blocking
from service_kit.settings import RedisSettings

LARGEST_CLAIM = 64
"""Messages of one claim, so that one replica does not empty the queue for all others."""
LARGEST_PROMOTION = 100
POLL_EVERY = 0.1
"""Seconds between two looks at the queue while the server is at its memory limit."""
LEAVE_TIMEOUT = 5.0
"""Seconds for requeueing at the end; after that another consumer reaps."""

_HEARTBEAT, _CLAIM, _FINISH, _FAIL = (scripts.load(name) for name in ("heartbeat", "claim", "finish", "fail"))
_PROMOTE, _REAP = (scripts.load(name) for name in ("promote", "reap"))
_STALE_CONSUMERS, _IN_FLIGHT = (scripts.load(name) for name in ("stale_consumers", "in_flight"))


class RedisStore:
    """One consumer's view of its queue; all raise QueueUnavailableError where a later call may succeed."""

    def __init__(self, settings: RedisSettings, options: ConsumerOptions) -> None:
        self._options = options
        self._queue = options.queue
        self._fields = ",".join(options.group_fields)
        # neither client retries by itself: a claim whose answer was lost must be noticed here
        self._commands: aioredis.Redis = connect_blocking(settings, block=0)
        self._blocking: aioredis.Redis = connect_blocking(settings, block=options.block)
        self._writer = OomSafeWriter(self._commands)
        self._commits = GroupCommit(self._commands, self._queue, self._mark_in_doubt)
        self._lease = Lease("")
        self._in_doubt = False
        """Whether Redis may have given us something without our learning it."""

    @property
    def lease(self) -> Lease:
        """The present one; `join` takes a new one."""
        return self._lease

    async def run(self) -> None:
        """Commit results, for as long as the consumer lives."""
        await self._commits.run()

    async def join(self, *, replace: bool) -> ReapResult:
        """Take a new lease; with `replace`, requeue what former processes of this slot held."""
        lease = Lease(f"{self._options.slot}~{uuid4().hex[:12]}")
        reaped = ReapResult()
        async with self._translate_errors():
            if replace:
                former = await self._run(_STALE_CONSUMERS, f"{self._options.slot}~")
                reaped = await self._reap(former, own_slot=True)
            await self._run(_HEARTBEAT, lease.id, self._ttl_ms, 1)
        self._lease = lease
        self._in_doubt = False
        return reaped

    async def heartbeat(self) -> None:
        """Show that the consumer lives; raises LeaseLostError."""
        async with self._translate_errors():
            if not await self._run(_HEARTBEAT, self._lease.id, self._ttl_ms, 0):
                raise LeaseLostError(self._lease.id)

    async def wait(self) -> bool:
        """Wait until a message is ready: the head is moved onto itself, which takes nothing.

        Moving it into a list of our own would break the order: between that and the look at who owns
        its group, another replica could claim the next message of the same group.
        """
        if self._in_doubt:
            return True
        async with self._translate_errors():
            timeout: Any = self._options.block  # declared as int; the command takes fractions
            try:
                head = await self._blocking.blmove(self._queue, self._queue, timeout, "LEFT", "LEFT")
            except OutOfMemoryError:  # a command that may need memory, to the server; looking needs none
                await asyncio.sleep(POLL_EVERY)
                return bool(await self._commands.llen(self._queue))
            return head is not None

    async def claim(self, slots: int) -> Claim:
        """Take up to `slots` messages that may run now; raises LeaseLostError."""
        if self._in_doubt and (lost := await self._reconcile()):
            return Claim(self._lease, lost, more=True, recovered=True)
        lease, wanted = self._lease, min(slots, LARGEST_CLAIM)
        most = wanted + LARGEST_CLAIM
        async with self._translate_errors():
            answer = await self._run(
                _CLAIM, lease.id, wanted, most, self._options.lane_cap, self._options.done_ttl
            )
        if answer is None:  # others have removed us from the consumers
            raise LeaseLostError(lease.id)
        looked_at, claimed, refused = answer
        deliveries = [_parse_delivery(*claimed[i : i + 4]) for i in range(0, len(claimed), 4)]
        lease.running.update(delivery.raw for delivery in deliveries)
        return Claim(
            lease,
            deliveries,
            refused=[_parse_delivery(*refused[i : i + 3]) for i in range(0, len(refused), 3)],
            more=looked_at == most or len(deliveries) == wanted,
        )

    async def finish(
        self, lease: Lease, delivery: Delivery, replies: list[bytes], *, closing: bool
    ) -> Settlement:
        """Acknowledge and publish in one step."""
        args = (*self._settlement_args(lease, delivery, closing=closing), *replies)

        def read(answer: list[Any]) -> Settlement:
            _stop_running(lease, delivery)
            code, *following = answer
            if code == 0:
                return Settlement(Outcome.FENCED)
            if code == 2:  # done before by ourselves: the answer, with the lane's next message, was lost
                self._in_doubt = True
                return Settlement(Outcome.DONE)
            return Settlement(Outcome.DONE, _parse_next(lease, delivery, following))

        return await self._commits.settle(_FINISH, args, read)

    async def fail(self, lease: Lease, delivery: Delivery, failure: Failure, *, closing: bool) -> Settlement:
        """Delay it or make it a dead letter, in one step."""
        delay_ms = -1 if failure.delay is None else int(failure.delay * 1000)
        args = (
            *self._settlement_args(lease, delivery, closing=closing),
            delay_ms,
            self._options.max_attempts,
            failure.reason,
            failure.notice if self._options.out_queue else b"",
            -1 if failure.longest_wait is None else int(failure.longest_wait * 1000),
        )

        def read(answer: list[Any]) -> Settlement:
            _stop_running(lease, delivery)
            code, *rest = answer
            if code == 2:
                return Settlement(Outcome.DEAD, _parse_next(lease, delivery, rest[1:]))
            return Settlement(Outcome.DELAYED if code == 1 else Outcome.FENCED)

        return await self._commits.settle(_FAIL, args, read)

    async def promote(self) -> float | None:
        """Make due retries ready; seconds until the next one is due, or None when there is none."""
        async with self._translate_errors():
            _, wait_ms = await self._run(_PROMOTE, LARGEST_PROMOTION)
        return None if wait_ms < 0 else wait_ms / 1000

    async def reap(self) -> ReapResult:
        """Requeue what consumers without a heartbeat held."""
        async with self._translate_errors():
            absent = await self._run(_STALE_CONSUMERS, "")
            return await self._reap(absent, own_slot=False)

    async def notify(self, notices: list[bytes]) -> None:
        """Put notices on the out queue."""
        if notices and self._options.out_queue:
            async with self._translate_errors():
                await self._writer.write(("RPUSH", self._options.out_queue, *notices))

    async def leave(self) -> int:
        """Settle what is ready and requeue the rest, in order; returns how many."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT), self._translate_errors():
                await self._commits.flush()
                requeued, *_ = await self._run(_REAP, self._lease.id, "leaving", 0, self._options.done_ttl)
        except TimeoutError as exc:
            raise QueueUnavailableError("no answer while leaving") from exc
        return int(requeued)

    async def close(self) -> None:
        """Close both connections."""
        await self._commands.aclose()
        await self._blocking.aclose()

    @property
    def _ttl_ms(self) -> int:
        return int(self._options.heartbeat_ttl * 1000)

    def _mark_in_doubt(self) -> None:
        self._in_doubt = True

    async def _run(self, script: Script, *args: Argument) -> Any:  # noqa: ANN401 - a reply
        return await scripts.run(self._commands, script, self._queue, self._fields, *args)

    @asynccontextmanager
    async def _translate_errors(self) -> AsyncIterator[None]:
        """Raise what may pass as QueueUnavailableError; afterwards we no longer know what we hold."""
        try:
            yield
        except (RedisError, OSError) as exc:
            if not is_transient(exc):
                raise
            self._in_doubt = True
            raise QueueUnavailableError(str(exc)) from exc

    async def _reconcile(self) -> list[Delivery]:
        """What Redis says we hold and we do not run: deliveries whose answers were lost."""
        lease = self._lease
        # under the lock no commit is on its way, so Redis and `running` can be compared
        async with self._commits.lock, self._translate_errors():
            held = await self._run(_IN_FLIGHT, lease.id)
            self._in_doubt = False
            known = Counter(lease.running)
            lost = []
            for i in range(0, len(held), 4):
                delivery = _parse_delivery(*held[i : i + 4])
                if known[delivery.raw] > 0:
                    known[delivery.raw] -= 1
                else:
                    lost.append(delivery)
            lease.running.update(delivery.raw for delivery in lost)
            return lost

    async def _reap(self, consumers: list[bytes], *, own_slot: bool) -> ReapResult:
        requeued, dead_letters = 0, []
        for consumer in consumers:
            # our own heartbeat may be late: that is for `heartbeat` to find out
            if consumer.decode() == self._lease.id:
                continue
            why = "replaced" if own_slot else "dead"
            count, *dead = await self._run(
                _REAP, consumer, why, self._options.max_crashes, self._options.done_ttl
            )
            requeued += max(0, count)
            dead_letters += [_parse_delivery(*dead[i : i + 3]) for i in range(0, len(dead), 3)]
        return ReapResult(requeued, tuple(dead_letters))

    def _settlement_args(self, lease: Lease, delivery: Delivery, *, closing: bool) -> tuple[Argument, ...]:
        return (
            self._fields,
            lease.id,
            delivery.raw,
            delivery.group.encode("utf-8", "surrogateescape"),
            delivery.id.encode("utf-8", "surrogateescape"),
            self._options.done_ttl,
            self._options.out_queue or "",
            1 if closing else 0,
        )


def _parse_delivery(raw: bytes, group: bytes, id_: bytes, attempts: int = 0) -> Delivery:
    # group and id must be the very bytes again when they are sent back
    return Delivery(
        raw, id_.decode("utf-8", "surrogateescape"), group.decode("utf-8", "surrogateescape"), attempts
    )


def _stop_running(lease: Lease, delivery: Delivery) -> None:
    lease.running[delivery.raw] -= 1
    if lease.running[delivery.raw] <= 0:
        del lease.running[delivery.raw]


def _parse_next(lease: Lease, settled: Delivery, answer: list[Any]) -> Delivery | None:
    if not answer:
        return None
    raw, id_, attempts = answer
    lease.running[raw] += 1
    return Delivery(raw, id_.decode("utf-8", "surrogateescape"), settled.group, attempts)
