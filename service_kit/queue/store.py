"""What the moves of a consumer's messages return and raise: claims, settlements, the lease."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from service_kit.errors import TransientError
from service_kit.queue.base import Delivery


class QueueUnavailableError(TransientError):
    """Redis does not answer, or cannot write at the moment; a later call may succeed."""


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
