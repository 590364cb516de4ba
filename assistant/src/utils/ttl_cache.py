"""A bounded TTL cache."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Keeps each value for `seconds`, and the newest `limit` of them. In this process only."""

    def __init__(self, *, seconds: float, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._limit = limit
        self._now = now
        self._values: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """The value; None where there is none, or it has expired."""
        found = self._values.get(key)
        if found is None or found[0] <= self._now():
            return None
        return found[1]

    def put(self, key: K, value: V) -> None:
        """Keep `value`; evict the oldest where there are too many."""
        # popped first: a dict keeps the place of a key that is overwritten, and eviction goes by age
        self._values.pop(key, None)
        self._values[key] = (self._now() + self._seconds, value)
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]
