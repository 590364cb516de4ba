"""Moments as models write them and are told them: local time in a zone."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service_kit.zones import find_zones, similar_zones

from ..core.errors import InvalidInputError

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def find_zone(name: object, default: ZoneInfo, now: datetime) -> ZoneInfo:
    """The zone with this name, `default` without one; raises InvalidInputError that says what is near."""
    if not name:
        return default
    wanted = str(name).strip()
    found = find_zones(wanted, now)
    if len(found) == 1:
        return ZoneInfo(found[0])
    similar = found or similar_zones(wanted)
    hint = f"perhaps {' or '.join(similar)}" if similar else "give the zone of the nearest large city"
    msg = f"{wanted!r} is not an IANA time zone; {hint}; the form is Area/City, such as Europe/Berlin"
    raise InvalidInputError(msg)


def parse_moment(text: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, str | None]:
    """The instant that `text` means in `zone`, in UTC, and what a clock change makes odd about it.

    `text` is `HH:MM`, of the day that `now` is there, or ISO 8601; with an offset of its own the zone
    does not matter.

    Raises:
        InvalidInputError: it is no time.
        OverflowError: it is beyond the calendar's end.
    """
    naive = _parse_local(text.strip(), zone, now)
    if naive.tzinfo is not None:
        return naive.astimezone(UTC), None
    local = naive.replace(tzinfo=zone)
    moment = local.astimezone(UTC)
    # a time in the gap of a clock change does not come back from UTC as it was
    if moment.astimezone(zone).replace(tzinfo=None) != naive:
        return moment, f"{naive:%H:%M} does not exist that day in {zone.key}: the clocks go forward"
    if local.replace(fold=1).astimezone(UTC) != moment:
        return moment, f"{naive:%H:%M} comes twice that day in {zone.key}; this is the first"
    return moment, None


def _parse_local(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        today: date = now.astimezone(zone).date()
        return datetime.combine(today, time(hour, minute, second))
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        msg = f"{text!r} is not a time; write HH:MM or YYYY-MM-DDTHH:MM"
        raise InvalidInputError(msg) from exc


def describe_moment(moment: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """The moment in the zone: `{"date", "time", "weekday", "timezone", "utc_offset"}`."""
    local = moment.astimezone(zone)
    return {
        "date": local.date().isoformat(),
        "time": f"{local:%H:%M}",
        "weekday": f"{local:%A}",
        "timezone": zone.key,
        "utc_offset": offset_text(local),
    }


def offset_text(local: datetime) -> str:
    """The moment's distance from UTC: `+05:30`, `-03:00`."""
    minutes = int((local.utcoffset() or timedelta()).total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
