"""Counts what was called and keeps what was sent, for tests and benchmarks."""

import time
from collections import Counter, deque
from dataclasses import dataclass

from .waiting import Signal

SENT_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A text that a bot sent. `number` counts all sends; `at` is Unix time in seconds."""

    number: int
    chat_id: int
    message_id: int
    text: str
    at: float


class Stats:
    """Counters since the start or the last reset."""

    def __init__(self) -> None:
        self.changed = Signal()
        self.clear()

    def clear(self) -> None:
        """Start again from nothing; numbers of sends start again too."""
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.repeated = 0
        self._sent: deque[Sent] = deque(maxlen=SENT_KEPT)
        self._texts: set[int] = set()
        self._total = 0

    def count(self, target: str, method: str) -> None:
        """A call of `method` came in."""
        self.calls[f"{target}.{method}"] += 1

    def record_sent(self, chat_id: int, message_id: int, text: str) -> None:
        """A bot sent a text."""
        self._total += 1
        fingerprint = hash((chat_id, text))
        if fingerprint in self._texts:
            self.repeated += 1
        elif len(self._texts) < SENT_KEPT:
            self._texts.add(fingerprint)
        self._sent.append(Sent(self._total, chat_id, message_id, text, time.time()))
        self.changed.fire()

    def list_sent_after(self, number: int) -> list[Sent]:
        """The kept sends with a number above `number`."""
        missing = self._total - number
        if missing <= 0:
            return []
        return list(self._sent)[-missing:] if missing < len(self._sent) else list(self._sent)

    @property
    def total_sent(self) -> int:
        """How many texts were sent."""
        return self._total
