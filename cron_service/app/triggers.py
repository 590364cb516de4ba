"""When a job fires.

Standard five-field cron as in crontab(5), by cronsim; APScheduler's own `from_crontab` counts weekdays
from Monday and joins day-of-month and weekday with "and".

The hour that a clock change skips or repeats, as in Debian's cron: a job at fixed times (neither its
minute nor its hour starts with `*`) fires at the first valid minute after a skipped time, and in a
repeated hour the first time only. A job at intervals (`*/15 * * * *`, `0 * * * *`) follows the real
passing of time: it fires in both passes of a repeated hour and never in a skipped one.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSim, CronSimError

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_WINDOWS = (timedelta(hours=1), _DAY, timedelta(days=31))


class CronSimTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no annotations
    """Fires when a cron expression matches the wall clock of a zone."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Raises ValueError for what is not a five-field cron expression, with the reason."""
        fields = expression.split()
        if len(fields) != 5:
            raise ValueError(f"{expression!r} has not the five fields of a cron expression")
        try:
            CronSim(expression, datetime.now(UTC))
        except CronSimError as exc:
            raise ValueError(f"{expression!r}: {exc}") from exc
        self._expression = expression
        self._zone = zone
        self._at_fixed_times = not fields[0].startswith("*") and not fields[1].startswith("*")

    def __str__(self) -> str:
        return f"cron[{self._expression} {self._zone.key}]"

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next firing in UTC: after the previous one, or at `now` or later where there was none."""
        return self.after(now - _TICK if previous_fire_time is None else previous_fire_time)

    def after(self, moment: datetime) -> datetime | None:
        """The first firing later than `moment`, in UTC; None where there is none in 50 years."""
        moment = moment.astimezone(UTC)
        return self._next_fixed(moment) if self._at_fixed_times else self._next_interval(moment)

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last firing in `since`…`until`, both included, in UTC; None where there is none."""
        for window in (*_WINDOWS, until - since):
            start = max(since, until - window)
            last, following = None, self.after(start - _TICK)
            while following is not None and following <= until:
                last, following = following, self.after(following)
            if last is not None or start == since:
                return last
        return None

    def _next_fixed(self, moment: datetime) -> datetime | None:
        for found in CronSim(self._expression, moment.astimezone(self._zone)):
            fires_at = found.astimezone(UTC)
            # seen from the second pass of a repeated hour, cronsim offers the first pass again
            if fires_at > moment:
                return fires_at
        return None

    def _next_interval(self, moment: datetime) -> datetime | None:
        """Go from clock change to clock change, with the zone's offset of the time in between.

        cronsim itself stumbles here where midnight is skipped, or half an hour repeated.
        """
        since = moment + _TICK
        while True:
            offset = self._offset(since)
            wall = (since + offset - _TICK).replace(tzinfo=None)
            found = next(CronSim(self._expression, wall), None)
            if found is None:
                return None
            fires_at = found.replace(tzinfo=UTC) - offset
            soon = min(fires_at, since + _DAY)
            if self._offset(soon) != offset:
                since = self._clock_change(since, soon)
            elif fires_at == soon:
                return fires_at
            else:  # nothing matches before, whatever the clock does: look again from near there
                since = max(soon, fires_at - _DAY)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _clock_change(self, before: datetime, after: datetime) -> datetime:
        """The first second of the offset that `after` has and `before` has not."""
        old = self._offset(before)
        low, high = int(before.timestamp()), int(after.timestamp())
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(datetime.fromtimestamp(middle, UTC)) == old:
                low = middle
            else:
                high = middle
        return datetime.fromtimestamp(high, UTC)
