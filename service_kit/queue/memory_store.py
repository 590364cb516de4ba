"""The queue in memory, as one consumer sees it.

The twin of `redis_store`, without heartbeats and reaping: consumers of one process die together.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from service_kit.queue.base import ConsumerOptions, Delivery, Depth
from service_kit.queue.dead_letters import DeadLetter
from service_kit.queue.envelope import Identity, PoisonError, identify
from service_kit.queue.store import Claimed, Failure, Fate, Lease, Reaped, Settled

LARGEST_CLAIM = 64


@dataclass(slots=True)
class Delayed:
    """A retry that waits for its time; its group stays closed."""

    due: float
    serial: int
    group: str
    raw: bytes


@dataclass(slots=True)
class MemoryQueue:
    """Where the messages of one queue stand; the same places as in Redis."""

    ready: deque[bytes] = field(default_factory=deque)
    owners: dict[str, str] = field(default_factory=dict)
    lanes: defaultdict[str, deque[bytes]] = field(default_factory=lambda: defaultdict(deque))
    processing: defaultdict[str, Counter[bytes]] = field(default_factory=lambda: defaultdict(Counter))
    delayed: list[Delayed] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    attempts: Counter[str | bytes] = field(default_factory=Counter)
    waiting_since: dict[str | bytes, float] = field(default_factory=dict)
    full_told: set[str] = field(default_factory=set)
    serial: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, raw: bytes, *, front: bool = False) -> None:
        """Put a message at the tail (or head)."""
        if front:
            self.ready.appendleft(raw)
        else:
            self.ready.append(raw)
        self.arrived.set()

    def give_back(self, messages: list[bytes]) -> None:
        """Back to the head, in order."""
        for raw in reversed(messages):
            self.push(raw, front=True)

    def open_group(self, group: str) -> list[bytes]:
        """Nobody owns the group any more; what waited in its lane."""
        self.owners.pop(group, None)
        return list(self.lanes.pop(group, ()))

    def bury(self, raw: bytes, reason: str, attempts: int, consumer: str) -> None:
        """Give a message up."""
        self.dead.append(DeadLetter(reason, attempts, consumer, datetime.now(UTC), raw))

    def depth(self) -> Depth:
        """How many messages stand where."""
        return Depth(
            ready=len(self.ready),
            lanes=sum(map(len, self.lanes.values())),
            processing=sum(held.total() for held in self.processing.values()),
            delayed=len(self.delayed),
            dead=len(self.dead),
        )


class MemoryStore:
    """Implements `store.Store`."""

    def __init__(self, queue: MemoryQueue, out_queue: MemoryQueue | None, options: ConsumerOptions) -> None:
        self._queue = queue
        self._out_queue = out_queue
        self._options = options
        self._lease = Lease(f"{options.slot}~{uuid4().hex[:12]}")

    @property
    def lease(self) -> Lease:
        """The only life."""
        return self._lease

    async def run(self) -> None:
        """Nothing to do: every result is settled at once."""

    async def enter(self, *, replace: bool) -> Reaped:
        """With `replace`, take over what a former consumer of this slot held."""
        given_back = 0
        for consumer in [name for name in self._queue.processing if name != self._lease.id]:
            if replace and consumer.startswith(f"{self._options.slot}~"):
                given_back += self._take_from(consumer)
        return Reaped(given_back)

    async def beat(self) -> None:
        """Nothing to do: nobody else looks."""

    async def wait(self) -> bool:
        """Wait for a while until a message is ready."""
        if not self._queue.ready:
            self._queue.arrived.clear()
            try:
                async with asyncio.timeout(self._options.block):
                    await self._queue.arrived.wait()
            except TimeoutError:
                return False
        return True

    async def claim(self, slots: int) -> Claimed:
        """Take up to `slots` messages that may run now."""
        queue, wanted = self._queue, min(slots, LARGEST_CLAIM)
        claimed = Claimed(self._lease, [])
        while queue.ready and len(claimed.deliveries) < wanted:
            raw = queue.ready.popleft()
            try:
                who = identify(raw, self._options.group_fields)
            except PoisonError as exc:
                queue.bury(raw, f"poison: {exc}", 0, self._lease.id)
                continue
            if who.id and who.id in queue.done:
                continue
            if who.group in queue.owners:
                self._into_lane(raw, who, claimed.refused)
                continue
            if who.group:
                queue.owners[who.group] = self._lease.id
            claimed.deliveries.append(self._hold(raw, who))
        return Claimed(
            self._lease, claimed.deliveries, claimed.refused, more=len(claimed.deliveries) == wanted
        )

    async def finish(
        self, lease: Lease, delivery: Delivery, replies: list[bytes], *, closing: bool
    ) -> Settled:
        """Acknowledge and publish."""
        if not self._release(lease, delivery):
            return Settled(Fate.FENCED)
        if delivery.id not in self._queue.done and self._out_queue is not None:
            for reply in replies:
                self._out_queue.push(reply)
        self._mark_done(delivery)
        return Settled(Fate.DONE, self._go_on(delivery.group, closing=closing))

    async def fail(self, lease: Lease, delivery: Delivery, failure: Failure, *, closing: bool) -> Settled:
        """Delay or bury."""
        queue = self._queue
        if not self._release(lease, delivery):
            return Settled(Fate.FENCED)
        counter, now = delivery.id or delivery.raw, time.monotonic()
        if failure.longest_wait is None:
            queue.attempts[counter] += 1
            may_go_on = queue.attempts[counter] < self._options.max_attempts
        else:
            may_go_on = now - queue.waiting_since.setdefault(counter, now) < failure.longest_wait
        attempts = queue.attempts[counter]
        if failure.delay is not None and may_go_on:
            queue.serial += 1
            due = now + failure.delay
            queue.delayed.append(Delayed(due, queue.serial, delivery.group, delivery.raw))
            if delivery.group:
                queue.owners[delivery.group] = "@delayed"
            return Settled(Fate.DELAYED)
        if failure.notice and self._out_queue is not None and delivery.id not in queue.done:
            self._out_queue.push(failure.notice)
        queue.bury(delivery.raw, failure.reason, attempts, lease.id)
        self._mark_done(delivery)
        return Settled(Fate.DEAD, self._go_on(delivery.group, closing=closing))

    async def promote(self) -> float | None:
        """Make due retries ready; seconds until the next one is due, or None when there is none."""
        queue, now = self._queue, time.monotonic()
        queue.delayed.sort(key=lambda retry: (retry.due, retry.serial))
        while queue.delayed and queue.delayed[0].due <= now:
            retry = queue.delayed.pop(0)
            behind = queue.open_group(retry.group) if retry.group else []
            queue.give_back([retry.raw, *behind])
        return max(0.0, queue.delayed[0].due - now) if queue.delayed else None

    async def reap(self) -> Reaped:
        """Nothing to do: consumers of one process die together."""
        return Reaped()

    async def notify(self, notices: list[bytes]) -> None:
        """Put notices on the out queue."""
        if self._out_queue is not None:
            for notice in notices:
                self._out_queue.push(notice)

    async def leave(self) -> int:
        """Give back what is still held."""
        return self._take_from(self._lease.id)

    async def close(self) -> None:
        """Nothing is open."""

    def _hold(self, raw: bytes, who: Identity) -> Delivery:
        self._queue.processing[self._lease.id][raw] += 1
        return Delivery(raw, who.id, who.group, self._queue.attempts[who.id or raw])

    def _into_lane(self, raw: bytes, who: Identity, refused: list[Delivery]) -> None:
        queue = self._queue
        if len(queue.lanes[who.group]) < self._options.lane_cap:
            queue.lanes[who.group].append(raw)
            return
        queue.bury(raw, f"more than {self._options.lane_cap} messages were waiting", 0, self._lease.id)
        if who.id:
            queue.done.add(who.id)
        if who.group not in queue.full_told:
            queue.full_told.add(who.group)
            refused.append(Delivery(raw, who.id, who.group))

    def _release(self, lease: Lease, delivery: Delivery) -> bool:
        held = self._queue.processing[lease.id]
        if not held[delivery.raw]:
            return False
        held[delivery.raw] -= 1
        return True

    def _mark_done(self, delivery: Delivery) -> None:
        counter = delivery.id or delivery.raw
        del self._queue.attempts[counter]
        self._queue.waiting_since.pop(counter, None)
        if delivery.id:
            self._queue.done.add(delivery.id)

    def _go_on(self, group: str, *, closing: bool) -> Delivery | None:
        """The next one of the group's lane; an empty lane, or a closing consumer, opens the group."""
        if not group:
            return None
        if closing:
            self._queue.give_back(self._queue.open_group(group))
            return None
        lane = self._queue.lanes[group]
        while lane:
            raw = lane.popleft()
            who = identify(raw, self._options.group_fields)
            if who.id not in self._queue.done:
                return self._hold(raw, who)
        self._queue.open_group(group)
        return None

    def _take_from(self, consumer: str) -> int:
        queue, head = self._queue, []
        for raw in queue.processing.pop(consumer, Counter()).elements():
            head.append(raw)
            group = identify(raw, self._options.group_fields).group
            if queue.owners.get(group) == consumer:
                head += queue.open_group(group)
        queue.give_back(head)
        return len(head)
