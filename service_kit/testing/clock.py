"""A clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Implements `service_kit.clock.Clock`."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        """Where the hands stand."""
        return self._now

    def move(self, **delta: float) -> None:
        """Move the hands; the arguments are those of `timedelta`."""
        self._now += timedelta(**delta)
