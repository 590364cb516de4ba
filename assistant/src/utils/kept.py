"""A small memory that forgets."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values for `seconds`, the newest `limit` of them. In this process only."""

    def __init__(self, *, seconds: float, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._limit = limit
        self._now = now
        self._values: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """The value, or None where there is none any more."""
        found = self._values.get(key)
        if found is None or found[0] <= self._now():
            return None
        return found[1]

    def put(self, key: K, value: V) -> None:
        """Keep `value`; the oldest goes where there are too many."""
        self._values.pop(key, None)
        self._values[key] = (self._now() + self._seconds, value)
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]
