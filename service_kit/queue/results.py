"""What `RedisStore` returns and raises: leases, claims, settlements."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from service_kit.errors import TransientError
from service_kit.queue.base import Delivery


class QueueUnavailableError(TransientError):
    """Redis does not answer, or cannot write at the moment; a later call may succeed."""


class LeaseLostError(Exception):
    """Others have declared this consumer dead (no heartbeat for too long) and requeued what it held."""


@dataclass(slots=True, eq=False)
class Lease:
    """A consumer's right to what it claims. What was claimed under a lost one can no longer be settled."""

    id: str
    running: Counter[bytes] = field(default_factory=Counter)
    """What this process knows to hold. Redis may hold more for it: claims whose answers were lost."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought."""

    lease: Lease
    deliveries: list[Delivery]
    refused: list[Delivery] = field(default_factory=list)
    """Dead letters, for too many of their group wait; one of each flood, for the notice to the user."""
    more: bool = False
    """Whether the ready list may hold more."""
    recovered: bool = False
    """Claimed earlier; the answer was lost."""


class Outcome(Enum):
    """What became of a delivery that was settled."""

    FENCED = 0
    """Another consumer has it by now; nothing was published."""
    DONE = 1
    DELAYED = 2
    DEAD = 3


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled delivery, and the next one of its group, which is now held in its place."""

    outcome: Outcome
    next: Delivery | None = None


@dataclass(frozen=True, slots=True)
class ReapResult:
    """What became of the messages of dead consumers."""

    requeued: int = 0
    dead_letters: tuple[Delivery, ...] = ()
    """Those whose consumers died too often."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed, and what to do about it."""

    reason: str
    delay: float | None
    """Seconds until the next attempt; None: there is none."""
    notice: bytes = b""
    """For the out queue, if this was the last attempt."""
    longest_wait: float | None = None
    """Seconds that it may wait for other services, all in all; None: this is a failed attempt."""
