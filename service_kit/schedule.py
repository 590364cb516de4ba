"""When a recurring job fires; rest_service shows it, cron_service does it.

Standard five-field cron as in crontab(5), in the job's own zone, by cronsim. Days: with both day
fields restricted, a day that matches either of them counts; when one begins with `*`, both must match.
What other programs add (`L`, `W`, `#`, `?`, `@daily`, a step without a range) is refused.

The hour that a clock change skips or repeats, as in Debian's cron: a job at fixed times (neither its
minute nor its hour starts with `*`) fires at the first valid minute after a skipped time, and in a
repeated hour the first time only. A job at intervals (`*/15 * * * *`, `0 * * * *`) follows the real
passing of time: it fires in both passes of a repeated hour and never in a skipped one.

Services that use this module have cronsim among their requirements.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_WINDOWS = (timedelta(hours=1), _DAY, timedelta(days=31))


@dataclass(frozen=True, slots=True)
class _Field:
    label: str
    highest: int
    names: str = ""

    @property
    def values(self) -> str:
        return rf"(?:\d+{'|' + self.names if self.names else ''})"


_FIELDS = (
    _Field("minute (0-59)", 59),
    _Field("hour (0-23)", 23),
    _Field("day of month (1-31)", 31),
    _Field("month (1-12 or JAN-DEC)", 12, "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"),
    _Field("weekday (0-7 or SUN-SAT; 0 and 7 are Sunday)", 7, "sun|mon|tue|wed|thu|fri|sat"),
)


class Schedule:
    """A cron expression in a zone. All times that it gives are aware and in UTC."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Raises ValueError, with a sentence for people, for what is not a five-field cron expression."""
        wrong = problem(expression)
        if wrong:
            raise ValueError(wrong)
        self.expression = expression
        self.zone = zone
        fields = expression.split()
        self._at_fixed_times = not fields[0].startswith("*") and not fields[1].startswith("*")

    def after(self, moment: datetime) -> datetime | None:
        """The first firing later than `moment`; None where there is none in 50 years."""
        moment = moment.astimezone(UTC)
        return self._next_fixed(moment) if self._at_fixed_times else self._next_interval(moment)

    def at_or_after(self, moment: datetime) -> datetime | None:
        """The first firing at `moment` or later."""
        return self.after(moment - _TICK)

    def following(self, moment: datetime, count: int) -> list[datetime]:
        """The first `count` firings later than `moment`; fewer where there are no more."""

        def firings() -> Iterator[datetime]:
            found = self.after(moment)
            while found is not None:
                yield found
                found = self.after(found)

        return list(islice(firings(), count))

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last firing in `since`…`until`, both included; None where there is none."""
        # most jobs fire often: short windows first, so that few firings are computed
        for window in (*_WINDOWS, until - since):
            start = max(since, until - window)
            last, following = None, self.at_or_after(start)
            while following is not None and following <= until:
                last, following = following, self.after(following)
            if last is not None or start == since:
                return last
        return None

    def _next_fixed(self, moment: datetime) -> datetime | None:
        for found in CronSim(self.expression, moment.astimezone(self.zone)):
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
            found = next(CronSim(self.expression, wall), None)
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
        return moment.astimezone(self.zone).utcoffset() or timedelta()

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


def problem(expression: str) -> str | None:
    """What is wrong with `expression`, as a sentence that says what to write; None where it is right."""
    parts = expression.split()
    if expression.lstrip().startswith("@"):
        return (
            "Macros like @daily are not supported; write five fields, such as '0 9 * * *' for 9:00 every day."
        )
    if len(parts) != len(_FIELDS):
        return (
            f"A cron expression has five fields (minute hour day month weekday), this one has {len(parts)}; "
            "'0 9 * * 1-5' is 9:00 on weekdays."
        )
    for position, (part, field) in enumerate(zip(parts, _FIELDS, strict=True)):
        wrong = _field_problem(position, part, field)
        if wrong:
            return wrong
    try:
        found = next(CronSim(expression, datetime.now(UTC)), None)
    except CronSimError:
        found = None
    return None if found else "There is no such day: this job would never fire."


def _field_problem(position: int, part: str, field: _Field) -> str | None:
    item = rf"(?:\*|{field.values}(?:-{field.values})?)(?:/\d+)?"
    standard = re.fullmatch(rf"{item}(?:,{item})*", part, re.IGNORECASE)
    lonely_step = re.search(rf"(?:^|,)({field.values})/(\d+)(?=,|$)", part, re.IGNORECASE)
    if lonely_step:
        start, step = lonely_step.groups()
        better = f"{start}-{field.highest}/{step}"
        if _is_valid(position, better):
            return f"A step needs a range: instead of '{start}/{step}' write '{better}'."
    elif standard and _is_valid(position, part):
        return None
    elif not standard and re.search(r"[?#]|\d[LW]|^L", part, re.IGNORECASE):
        return f"{part!r} is not standard cron: L, W, # and ? are extensions of other programs."
    return f"{part!r} is not a valid {field.label}."


def _is_valid(position: int, part: str) -> bool:
    alone = ["*"] * len(_FIELDS)
    alone[position] = part
    try:
        CronSim(" ".join(alone), datetime.now(UTC))
    except CronSimError:
        return False
    return True
