"""What is asked of `/v1/forecast` (open-meteo.com/en/docs). Refusals are in the service's words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from .places import nearest
from .variables import DAYS, MOMENTS, SUN, Units

_MOST_DAYS = 16
_USUAL_DAYS = 7


class RefusedError(Exception):
    """A parameter is wrong; the text is the `reason` of the answer (400)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Checked parameters; names of variables by section, empty where the section is not wanted."""

    latitude: float
    longitude: float
    zone: ZoneInfo
    days: int
    units: Units
    unix_time: bool
    current: tuple[str, ...]
    hourly: tuple[str, ...]
    daily: tuple[str, ...]

    def time(self, moment: datetime) -> str | int:
        """`moment` as the caller wants to read times."""
        return int(moment.timestamp()) if self.unix_time else f"{moment:%Y-%m-%dT%H:%M}"

    @property
    def time_sign(self) -> str:
        """How a time is marked among the units."""
        return "unixtime" if self.unix_time else "iso8601"


def read_query(query: Mapping[str, str]) -> Query:
    """The parameters of a call; raises RefusedError."""
    if ("latitude" in query) != ("longitude" in query) or "latitude" not in query:
        raise RefusedError("Parameter 'latitude' and 'longitude' must have the same number of elements")
    latitude, longitude = _degrees(query, "latitude", 90), _degrees(query, "longitude", 180)
    daily = _names(query, "daily", {*DAYS, *SUN})
    if daily and "timezone" not in query:
        raise RefusedError("Timezone is required")
    return Query(
        latitude=latitude,
        longitude=longitude,
        zone=_zone(query.get("timezone", "GMT"), latitude, longitude),
        days=_days(query.get("forecast_days")),
        units=Units(
            temperature=_choice(query, "temperature_unit", "celsius", "fahrenheit"),
            wind=_choice(query, "wind_speed_unit", "kmh", "ms", "mph", "kn"),
            precipitation=_choice(query, "precipitation_unit", "mm", "inch"),
        ),
        unix_time=_choice(query, "timeformat", "iso8601", "unixtime") == "unixtime",
        current=_names(query, "current", MOMENTS),
        hourly=_names(query, "hourly", MOMENTS),
        daily=daily,
    )


def _degrees(query: Mapping[str, str], name: str, most: int) -> float:
    try:
        value = float(query[name])
    except ValueError:
        raise RefusedError(
            f"Cannot initialize Float from invalid String value {query[name]} for key {name}"
        ) from None
    if not -most <= value <= most:
        raise RefusedError(f"{name.capitalize()} must be in range of -{most} to {most}°. Given: {value}.")
    return value


def _zone(name: str, latitude: float, longitude: float) -> ZoneInfo:
    if name == "auto":
        return ZoneInfo(nearest(latitude, longitude)[0].zone)
    if name not in available_timezones():
        raise RefusedError("Invalid timezone")
    return ZoneInfo(name)


def _days(text: str | None) -> int:
    if text is None:
        return _USUAL_DAYS
    if not text.isdecimal() or int(text) > _MOST_DAYS:
        raise RefusedError(f"Forecast days is invalid. Allowed range 0 to {_MOST_DAYS}. Given {text}.")
    return int(text)


def _choice(query: Mapping[str, str], name: str, *choices: str) -> str:
    value = query.get(name, choices[0])
    if value not in choices:
        raise RefusedError(f"Cannot initialize Unit from invalid String value {value} for key {name}")
    return value


def _names(query: Mapping[str, str], section: str, known: Collection[str]) -> tuple[str, ...]:
    names = tuple(name for name in query.get(section, "").split(",") if name)
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise RefusedError(
            "Data corrupted at path ''. Cannot initialize ForecastVariable from invalid String value "
            f"{unknown} for key {section}."
        )
    return names
