"""Answers of `/v1/forecast`: figures in columns, their units beside them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from ..model.conversation import JsonObject
from .climate import Spot, daylight, weather_at, weather_on
from .places import nearest
from .query import Query
from .variables import DAYS, MOMENTS, SUN, Units, Variable

_INTERVAL = 900
"""Seconds: `current` is of the last quarter of an hour."""
_NEAR = 0.5
"""Degrees within which a known place's height counts."""

Source = TypeVar("Source")


def forecast(query: Query, now: datetime) -> JsonObject:
    """The answer at `now` (aware)."""
    here = now.astimezone(query.zone)
    place, distance = nearest(query.latitude, query.longitude)
    spot = Spot(query.latitude, query.longitude, place.elevation if distance < _NEAR else 0.0)
    days = [here.date() + timedelta(days=number) for number in range(query.days)]
    answer: JsonObject = {
        "latitude": query.latitude,
        "longitude": query.longitude,
        "generationtime_ms": 0.1,
        "utc_offset_seconds": int((here.utcoffset() or timedelta()).total_seconds()),
        "timezone": query.zone.key,
        "timezone_abbreviation": here.tzname(),
        "elevation": spot.elevation,
    }
    if query.current:
        answer |= _current(query, spot, here)
    if query.hourly:
        answer |= _hourly(query, spot, days)
    if query.daily:
        answer |= _daily(query, spot, days)
    return answer


def _current(query: Query, spot: Spot, here: datetime) -> JsonObject:
    moment = here - timedelta(seconds=here.timestamp() % _INTERVAL)
    columns = _columns(query.current, MOMENTS, [weather_at(spot, moment)], query.units)
    units = {"time": query.time_sign, "interval": "seconds", **_signs(query.current, MOMENTS, query.units)}
    figures = {name: column[0] for name, column in columns.items()}
    return {
        "current_units": units,
        "current": {"time": query.time(moment), "interval": _INTERVAL, **figures},
    }


def _hourly(query: Query, spot: Spot, days: Sequence[date]) -> JsonObject:
    hours = [_at(day, query, hour) for day in days for hour in range(24)]
    weather = [weather_at(spot, hour) for hour in hours]
    columns = _columns(query.hourly, MOMENTS, weather, query.units)
    return {
        "hourly_units": {"time": query.time_sign, **_signs(query.hourly, MOMENTS, query.units)},
        "hourly": {"time": [query.time(hour) for hour in hours], **columns},
    }


def _daily(query: Query, spot: Spot, days: Sequence[date]) -> JsonObject:
    columns = _columns(query.daily, DAYS, [weather_on(spot, day) for day in days], query.units)
    units = _signs(query.daily, DAYS, query.units)
    sun = [daylight(spot, day, query.zone) for day in days]
    for number, name in enumerate(SUN):
        if name in query.daily:
            columns[name] = [query.time(times[number]) for times in sun]
            units[name] = query.time_sign
    midnights = [_at(day, query) for day in days]
    times = [query.time(moment) if query.unix_time else f"{moment:%Y-%m-%d}" for moment in midnights]
    return {"daily_units": {"time": query.time_sign, **units}, "daily": {"time": times, **columns}}


def _columns(
    names: Sequence[str],
    variables: Mapping[str, Variable[Source]],
    weather: Sequence[Source],
    units: Units,
) -> dict[str, list[float | int | str]]:
    known = ((name, variables[name]) for name in names if name in variables)
    return {
        name: [units.figure(variable.kind, variable.of(one)) for one in weather] for name, variable in known
    }


def _signs(names: Sequence[str], variables: Mapping[str, Variable[Source]], units: Units) -> dict[str, str]:
    return {name: units.sign(variables[name].kind) for name in names if name in variables}


def _at(day: date, query: Query, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=query.zone)
