"""Where a consumer's messages stand: what the two backends implement below the one consumer."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from service_kit.errors import TransientError
from service_kit.queue.base import Delivery


class QueueUnavailableError(TransientError):
    """The store does not answer, or cannot write at the moment."""


class LeaseLostError(Exception):
    """This consumer was declared dead (it stood still for too long) and what it held was given away."""


@dataclass(slots=True, eq=False)
class Lease:
    """One life of a consumer in the queue. What was claimed under a lost one can no longer be settled."""

    id: str
    running: Counter[bytes] = field(default_factory=Counter)
    """What this process knows to hold, so that it can tell what it was given without learning it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim brought."""

    lease: Lease
    deliveries: list[Delivery]
    refused: list[Delivery] = field(default_factory=list)
    """Buried because too many of their group wait; one per flood, for the notice to the user."""
    more: bool = False
    """Whether the ready list may hold more."""
    recovered: bool = False
    """Claimed earlier, but the answer to that was lost."""


class Fate(Enum):
    """What became of a delivery that was settled."""

    FENCED = 0
    """It had been given to another consumer; nothing was published."""
    DONE = 1
    DELAYED = 2
    DEAD = 3


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled delivery, and the next one of its group, which is now held in its place."""

    fate: Fate
    next: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Reaped:
    """What was taken from dead consumers."""

    given_back: int = 0
    buried: tuple[Delivery, ...] = ()
    """They went down with their consumer too often."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed, and what to do about it."""

    reason: str
    delay: float | None
    """Seconds until the next try; None: no further try."""
    notice: bytes = b""
    """For the out queue, if this was the last try."""
    longest_wait: float | None = None
    """Seconds that it may be put off for such reasons, all in all; None: it is an attempt that failed."""


class Store(Protocol):
    """One consumer's view of its queue. All raise QueueUnavailableError where a later call may succeed."""

    @property
    def lease(self) -> Lease:
        """The present life."""
        ...

    async def run(self) -> None:
        """The store's own background work, for as long as the consumer lives."""
        ...

    async def enter(self, *, replace: bool) -> Reaped:
        """Begin a new life; with `replace`, take over what former processes of this slot held."""
        ...

    async def beat(self) -> None:
        """Show that the consumer lives; raises LeaseLostError."""
        ...

    async def wait(self) -> bool:
        """Wait for a while until a message is ready; takes none, so it may be cancelled at any point."""
        ...

    async def claim(self, slots: int) -> Claimed:
        """Take up to `slots` messages that may run now; raises LeaseLostError."""
        ...

    async def finish(
        self, lease: Lease, delivery: Delivery, replies: list[bytes], *, closing: bool
    ) -> Settled:
        """Acknowledge and publish in one step. With `closing` the group's next one stays in the queue."""
        ...

    async def fail(self, lease: Lease, delivery: Delivery, failure: Failure, *, closing: bool) -> Settled:
        """Delay or bury, in one step."""
        ...

    async def promote(self) -> float | None:
        """Make due retries ready; seconds until the next one is due, or None when there is none."""
        ...

    async def reap(self) -> Reaped:
        """Give back what dead consumers held."""
        ...

    async def notify(self, notices: list[bytes]) -> None:
        """Put notices on the out queue."""
        ...

    async def leave(self) -> int:
        """Give back what is still held; returns how many."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
