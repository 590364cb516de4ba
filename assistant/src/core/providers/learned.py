"""What one provider's models turned out to want, for a while: a server may be started anew, otherwise."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")

REMEMBERED = 900.0
"""Seconds."""


class Learned(Generic[T]):
    """Something learned, by model. Its methods need a running event loop."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[T, float]] = {}

    def of(self, model: str) -> T | None:
        """What was learned; None: nothing, or too long ago."""
        if model not in self._known:
            return None
        value, until = self._known[model]
        return value if asyncio.get_running_loop().time() < until else None

    def learn(self, model: str, value: T) -> None:
        """The model answered so, and not as usual."""
        self._known[model] = (value, asyncio.get_running_loop().time() + REMEMBERED)
