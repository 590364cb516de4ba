"""Answers of `/v1/forecast` (open-meteo.com/en/docs): made up, the same whenever it is asked.

Rough formulas, good enough to look like weather: the yearly mean falls with latitude, the seasons grow with
latitude and turn round in the south, neighbouring days resemble each other.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import acos, asin, cos, exp, pi, radians, sin
from zoneinfo import ZoneInfo, available_timezones

from ..model.conversation import JsonObject
from .places import nearest

MOST_DAYS = 16
USUAL_DAYS = 7
INTERVAL = 900
"""Seconds: `current` is of the last quarter of an hour."""
_WARMEST_DAY = 200
"""Of the year, in the north."""
_WARMEST_HOUR = 15
_TIME = "%Y-%m-%dT%H:%M"
_FACTORS = {"ms": 1 / 3.6, "mph": 0.621371, "kn": 0.539957}
"""From km/h."""
_SIGNS = {"celsius": "°C", "fahrenheit": "°F", "kmh": "km/h", "mph": "mp/h", "ms": "m/s"}
_UNIT_OF = {
    "temperature_2m": "temperature_unit", "temperature_2m_max": "temperature_unit",
    "temperature_2m_min": "temperature_unit", "apparent_temperature": "temperature_unit",
    "wind_speed_10m": "wind_speed_unit", "wind_speed_10m_max": "wind_speed_unit",
    "precipitation": "precipitation_unit", "precipitation_sum": "precipitation_unit",
    "weather_code": "wmo code", "relative_humidity_2m": "%", "precipitation_probability_max": "%",
    "wind_direction_10m": "°", "sunrise": "iso8601", "sunset": "iso8601", "is_day": "",
}  # fmt: skip
"""The parameter that chooses the unit of a figure, or the unit itself."""
_CHOICES = {
    "temperature_unit": ("celsius", "fahrenheit"),
    "wind_speed_unit": ("kmh", "ms", "mph", "kn"),
    "precipitation_unit": ("mm", "inch"),
}

Row = dict[str, float | str]
"""Figures by their names."""


class RefusedError(Exception):
    """A parameter is wrong; the text is the `reason` of the answer (400), in the service's words."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Degrees, and the zone in which times are told."""

    latitude: float
    longitude: float
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Day:
    """A day's weather: °C, a WMO code, mm, percent, km/h, degrees."""

    high: float
    low: float
    code: int
    rain: float
    chance: int
    humidity: int
    wind: float
    wind_from: int


def forecast(query: Mapping[str, str], now: datetime) -> JsonObject:
    """The answer at `now` (aware); raises RefusedError."""
    spot = _read_spot(query)
    units = {name: _choose(query, name, choices) for name, choices in _CHOICES.items()}
    here = now.astimezone(spot.zone)
    days = [here.date() + timedelta(days=number) for number in range(_read_days(query))]
    answer: JsonObject = {
        "latitude": spot.latitude,
        "longitude": spot.longitude,
        "generationtime_ms": 0.1,
        "utc_offset_seconds": int((here.utcoffset() or timedelta()).total_seconds()),
        "timezone": spot.zone.key,
        "timezone_abbreviation": here.tzname(),
        "elevation": 0.0,
    }
    if query.get("current"):
        moment = here - timedelta(seconds=here.timestamp() % INTERVAL)
        figures = _current(spot, moment)
        known: Row = {"time": f"{moment:{_TIME}}", "interval": INTERVAL, **figures}
        answer |= _section(query, "current", [known], units, {"time": "iso8601", "interval": "seconds"})
        answer["current"] = {name: column[0] for name, column in answer["current"].items()}
    if query.get("daily"):
        # days begin at midnight of a zone
        if "timezone" not in query:
            raise RefusedError("Timezone is required")
        known_days: list[Row] = [{"time": str(day), **_daily(spot, day)} for day in days]
        answer |= _section(query, "daily", known_days, units, {"time": "iso8601"})
    return answer


def weather_on(spot: Spot, day: date) -> Day:
    """The day's weather."""
    dice = random.Random(f"{spot.latitude:.1f}/{spot.longitude:.1f}/{day}")  # noqa: S311 - no secret
    mean = _mean_of_season(spot, day) + _drift(spot, day)
    wet = dice.random()
    falls = wet > 0.62
    amount = round((wet - 0.62) * 30, 1) if falls else 0.0
    clouds = min(100, round(wet * 95 + 12)) if falls else round(wet * 130)
    swing = 2.5 + (100 - clouds) / 22
    return Day(
        high=round(mean + swing, 1),
        low=round(mean - swing, 1),
        code=_code(amount, clouds, mean),
        rain=amount,
        chance=min(98, round(wet * 100)) if falls else round(wet * 55),
        humidity=min(97, 45 + clouds // 2),
        wind=round(5 + dice.random() ** 2 * 32, 1),
        wind_from=dice.randrange(360),
    )


def daylight(spot: Spot, day: date) -> tuple[datetime, datetime]:
    """Sunrise and sunset; both at midday in the polar night, a day apart in the polar summer."""
    tilt = asin(sin(radians(-23.44)) * cos(2 * pi / 365.24 * (day.timetuple().tm_yday + 10)))
    north = radians(max(-89.9, min(89.9, spot.latitude)))
    # the upper edge of the sun, lifted by the air, is seen when its middle is 0.833° below the horizon
    turn = (sin(radians(-0.833)) - sin(north) * sin(tilt)) / (cos(north) * cos(tilt))
    half = timedelta(hours=acos(max(-1.0, min(1.0, turn))) / pi * 12)
    noon = datetime.combine(day, time(12), UTC) - timedelta(hours=spot.longitude / 15)
    return (noon - half).astimezone(spot.zone), (noon + half).astimezone(spot.zone)


def _current(spot: Spot, moment: datetime) -> dict[str, float]:
    day = weather_on(spot, moment.date())
    warmth = cos((moment.hour + moment.minute / 60 - _WARMEST_HOUR) / 24 * 2 * pi)
    temperature = (day.high + day.low) / 2 + (day.high - day.low) / 2 * warmth
    vapour = day.humidity / 100 * 6.105 * exp(17.27 * temperature / (237.7 + temperature))
    dawn, dusk = daylight(spot, moment.date())
    return {
        "temperature_2m": temperature,
        # the Australian apparent temperature (Steadman 1994), wind in m/s
        "apparent_temperature": temperature + 0.33 * vapour - 0.7 * day.wind / 3.6 - 4.0,
        "relative_humidity_2m": day.humidity,
        "precipitation": day.rain / 24,
        "weather_code": day.code,
        "wind_speed_10m": day.wind,
        "wind_direction_10m": day.wind_from,
        "is_day": int(dawn <= moment < dusk),
    }


def _daily(spot: Spot, day: date) -> Row:
    weather = weather_on(spot, day)
    dawn, dusk = daylight(spot, day)
    return {
        "weather_code": weather.code,
        "temperature_2m_max": weather.high,
        "temperature_2m_min": weather.low,
        "precipitation_sum": weather.rain,
        "precipitation_probability_max": weather.chance,
        "wind_speed_10m_max": weather.wind,
        "sunrise": f"{dawn:{_TIME}}",
        "sunset": f"{dusk:{_TIME}}",
    }


def _section(
    query: Mapping[str, str],
    section: str,
    rows: list[Row],
    units: Mapping[str, str],
    head: Mapping[str, str],
) -> JsonObject:
    """The figures that were asked for in columns, and their units."""
    known = rows[0] if rows else _daily(Spot(0, 0, ZoneInfo("UTC")), date.min)
    names = [*head, *(name for name in query[section].split(",") if name)]
    if unknown := next((name for name in names if name not in known and name not in head), None):
        raise RefusedError(
            "Data corrupted at path ''. Cannot initialize ForecastVariable from invalid String value "
            f"{unknown} for key {section}."
        )
    unit_of = {name: units.get(_UNIT_OF[name], _UNIT_OF[name]) for name in names if name not in head}
    return {
        f"{section}_units": {**head, **{name: _SIGNS.get(unit, unit) for name, unit in unit_of.items()}},
        section: {name: [_figure(row[name], unit_of.get(name, "")) for row in rows] for name in names},
    }


def _figure(value: float | str, unit: str) -> float | str:
    """A figure in the caller's unit, rounded as the real service does."""
    match value, unit:
        case float(), "fahrenheit":
            return round(value * 9 / 5 + 32, 1)
        case float(), "inch":
            return round(value / 25.4, 3)
        case float(), _:
            return round(value * _FACTORS.get(unit, 1.0), 1)
    return value


def _mean_of_season(spot: Spot, day: date) -> float:
    season = cos(2 * pi * (day.timetuple().tm_yday - _WARMEST_DAY) / 365)
    return 27 - 0.0068 * spot.latitude**2 + 0.23 * spot.latitude * season


def _drift(spot: Spot, day: date) -> float:
    """How much warmer than usual: waves of some days and of a week or two, each place its own."""
    dice = random.Random(f"{spot.latitude:.1f}/{spot.longitude:.1f}")  # noqa: S311 - no secret
    phase, number = dice.random() * 2 * pi, day.toordinal()
    return 2.6 * sin(number / 6.3 * 2 * pi + phase) + 2.2 * sin(number / 17.0 * 2 * pi + 2 * phase)


def _code(amount: float, clouds: int, mean: float) -> int:
    """WMO 4677, the codes that Open-Meteo uses."""
    if amount > 7 and mean > 17:
        return 95
    if amount:
        light, middle, heavy = (71, 73, 75) if mean < 0.5 else (61, 63, 65)
        return light if amount < 4 else middle if amount < 8 else heavy
    if clouds > 75:
        return 3
    return 2 if clouds > 45 else 1 if clouds > 20 else 0


def _read_spot(query: Mapping[str, str]) -> Spot:
    if not {"latitude", "longitude"} <= query.keys():
        raise RefusedError("Parameter 'latitude' and 'longitude' must have the same number of elements")
    latitude, longitude = _read_degrees(query, "latitude", 90), _read_degrees(query, "longitude", 180)
    zone = query.get("timezone", "GMT")
    if zone == "auto":
        zone = nearest(latitude, longitude).zone
    if zone not in available_timezones():
        raise RefusedError("Invalid timezone")
    return Spot(latitude, longitude, ZoneInfo(zone))


def _read_degrees(query: Mapping[str, str], name: str, most: int) -> float:
    try:
        value = float(query[name])
    except ValueError:
        reason = f"Cannot initialize Float from invalid String value {query[name]} for key {name}"
        raise RefusedError(reason) from None
    if not -most <= value <= most:
        raise RefusedError(f"{name.capitalize()} must be in range of -{most} to {most}°. Given: {value}.")
    return value


def _read_days(query: Mapping[str, str]) -> int:
    text = query.get("forecast_days", str(USUAL_DAYS))
    if not text.isdecimal() or int(text) > MOST_DAYS:
        raise RefusedError(f"Forecast days is invalid. Allowed range 0 to {MOST_DAYS}. Given {text}.")
    return int(text)


def _choose(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = query.get(name, choices[0])
    if value not in choices:
        raise RefusedError(f"Cannot initialize Unit from invalid String value {value} for key {name}")
    return value
