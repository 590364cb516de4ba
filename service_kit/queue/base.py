"""The queue's vocabulary: what a handler gets, returns and raises; options, offsets, figures."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from service_kit.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, given to a handler.

    `raw` is the JSON object as it stood in the list; `id` is empty where the producer gave none;
    `group` is whom order is kept for (the user, the chat).
    """

    raw: bytes
    id: str
    group: str
    attempt: int = 0
    """How many times it has failed before; waits do not count where the consumer has a `longest_wait`."""


class RetryLater(Exception):  # noqa: N818 - not an error: an instruction to the queue
    """Raised by a handler: try again after `delay` seconds (None: the queue's backoff).

    Where the consumer has a `longest_wait`, this is a wait for something else and no failed attempt.
    """

    def __init__(self, reason: str, *, delay: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay = delay


class Reject(Exception):  # noqa: N818 - not an error: an instruction to the queue
    """Raised by a handler: no try can help; straight to the dead letters, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Handler = Callable[[Delivery], Awaitable[Sequence[BaseModel]]]
"""Serves one delivery; what it returns is put on the consumer's `out_queue` in the same atomic step
that acknowledges the delivery. Any exception but Reject means: try again, up to `max_attempts`."""

FailureNotice = Callable[[Delivery], BaseModel | None]
"""What to tell the user when a delivery becomes a dead letter; put on `out_queue` in the same atomic step."""


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How a queue is consumed. Times in seconds."""

    queue: str
    slot: str
    """A name that only one living process of this consumer has."""
    out_queue: str | None = None
    group_fields: tuple[str, ...] = ("user_id", "chat_id")
    """The first of these that a message has decides whose order it keeps."""
    concurrency: int = 256
    handler_timeout: float = 120.0
    max_attempts: int = 5
    longest_wait: float | None = None
    """Seconds that RetryLater may put a message off, all in all; None: it is a failed attempt."""
    max_crashes: int = 10
    heartbeat_ttl: float = 15.0
    block: float = 1.0
    drain_timeout: float = 30.0
    done_ttl: int = 3_600
    """How long a settled id is known: longer than the answer to a settlement can be lost. Repeats that come
    later are the producer's to keep away (`producer.SEEN_TTL`)."""
    lane_cap: int = 200
    """Messages that may wait behind one that runs, of one group; the rest are dead letters, with a notice."""
    backoff: Callable[[int], float] = Backoff(0.5, 60.0, jitter=0.5).delay_after
    """Seconds until the next try, by the number of earlier failures."""


@dataclass(frozen=True, slots=True)
class Offset:
    """A producer's position in its own source, stored in the same step as the message."""

    key: str
    value: int


@dataclass(slots=True)
class ConsumerStats:
    """What one consumer has done since its start."""

    done: int = 0
    retried: int = 0
    dead: int = 0
    fenced: int = 0
    reaped: int = 0
    reconciled: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages stand where, in one queue."""

    ready: int
    lanes: int
    processing: int
    delayed: int
    dead: int
