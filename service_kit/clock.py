"""Time is a dependency: whatever behaves by the clock gets one through its constructor."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where now comes from."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)
