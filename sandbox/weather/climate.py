"""Weather that nobody measured: plausible for place and season, the same whenever it is asked for.

Rough formulas, good enough to look like weather: the yearly mean falls with latitude and height, the
seasons grow with latitude and turn round in the south, neighbouring days resemble each other.
"""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import acos, asin, cos, exp, pi, radians, sin

_WARMEST_DAY = 200
"""Of the year, in the north."""
_WARMEST_HOUR = 15


@dataclass(frozen=True, slots=True)
class Spot:
    """Degrees, and metres above the sea."""

    latitude: float
    longitude: float
    elevation: float


@dataclass(frozen=True, slots=True)
class Day:
    """A day's weather: °C, mm, cm of snow, percent, km/h, degrees, a WMO code."""

    high: float
    low: float
    code: int
    rain: float
    snow: float
    chance: int
    clouds: int
    humidity: int
    wind: float
    wind_from: int
    pressure: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The weather at one moment, in the units of `Day`."""

    day: Day
    temperature: float
    feels_like: float
    humidity: int
    rain: float
    snow: float
    is_day: bool


def weather_on(spot: Spot, day: date) -> Day:
    """The day's weather."""
    dice = random.Random(f"{spot.latitude:.1f}/{spot.longitude:.1f}/{day}")  # noqa: S311 - no secret
    mean = _usual(spot, day) + _drift(spot, day)
    wet = dice.random()
    falls = wet > 0.62
    amount = round((wet - 0.62) * 30, 1) if falls else 0.0
    freezing = mean < 0.5
    clouds = min(100, round(wet * 95 + 12)) if falls else round(wet * 130)
    swing = 2.5 + (100 - clouds) / 22
    storm = falls and mean > 17 and amount > 7
    return Day(
        high=round(mean + swing, 1),
        low=round(mean - swing, 1),
        code=_code(amount, clouds, freezing=freezing, storm=storm),
        rain=amount,
        snow=round(amount * 0.7, 2) if freezing else 0.0,
        chance=min(98, round(wet * 100)) if falls else round(wet * 55),
        clouds=min(clouds, 100),
        humidity=min(97, 45 + clouds // 2),
        wind=round(5 + dice.random() ** 2 * 32, 1),
        wind_from=dice.randrange(360),
        pressure=round(1023 - clouds / 5 - dice.random() * 6, 1),
    )


def weather_at(spot: Spot, moment: datetime) -> Moment:
    """The weather at `moment`, which is in the spot's own zone."""
    day = weather_on(spot, moment.date())
    hour = moment.hour + moment.minute / 60
    warmth = cos((hour - _WARMEST_HOUR) / 24 * 2 * pi)
    temperature = (day.high + day.low) / 2 + (day.high - day.low) / 2 * warmth
    dawn, dusk = daylight(spot, moment.date(), moment.tzinfo or UTC)
    humidity = max(15, min(100, round(day.humidity - 12 * warmth)))
    vapour = humidity / 100 * 6.105 * exp(17.27 * temperature / (237.7 + temperature))
    return Moment(
        day=day,
        temperature=round(temperature, 1),
        # the Australian apparent temperature (Steadman 1994), wind in m/s
        feels_like=round(temperature + 0.33 * vapour - 0.7 * day.wind / 3.6 - 4.0, 1),
        humidity=humidity,
        rain=round(day.rain / 24, 2),
        snow=round(day.snow / 24, 2),
        is_day=dawn <= moment < dusk,
    )


def daylight(spot: Spot, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Sunrise and sunset; both at midday in the polar night, a day apart in the polar summer."""
    number = day.timetuple().tm_yday
    year = 2 * pi / 365.24
    tilt = asin(sin(radians(-23.44)) * cos(year * (number + 10) + radians(1.914) * sin(year * (number - 2))))
    north = radians(max(-89.9, min(89.9, spot.latitude)))
    # the upper edge of the sun, lifted by the air, is seen when its middle is 0.833° below the horizon
    turn = (sin(radians(-0.833)) - sin(north) * sin(tilt)) / (cos(north) * cos(tilt))
    half = acos(max(-1.0, min(1.0, turn))) / pi * 12
    angle = 2 * pi * (number - 81) / 364
    sundial = (9.87 * sin(2 * angle) - 7.53 * cos(angle) - 1.5 * sin(angle)) / 60
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    midday = noon - timedelta(hours=spot.longitude / 15 + sundial)
    return (midday - timedelta(hours=half)).astimezone(zone), (midday + timedelta(hours=half)).astimezone(
        zone
    )


def _usual(spot: Spot, day: date) -> float:
    """The mean of the season."""
    north = abs(spot.latitude)
    season = cos(2 * pi * (day.timetuple().tm_yday - _WARMEST_DAY) / 365)
    yearly = 27 - 0.0068 * north**2 - 0.0055 * max(0.0, spot.elevation)
    return yearly + 0.23 * spot.latitude * season


def _drift(spot: Spot, day: date) -> float:
    """How much warmer than usual: waves of some days and of a week or two, each place its own."""
    dice = random.Random(f"{spot.latitude:.1f}/{spot.longitude:.1f}")  # noqa: S311 - no secret
    phase, number = dice.random() * 2 * pi, day.toordinal()
    return 2.6 * sin(number / 6.3 * 2 * pi + phase) + 2.2 * sin(number / 17.0 * 2 * pi + 2 * phase)


def _code(amount: float, clouds: int, *, freezing: bool, storm: bool) -> int:
    """WMO 4677, the codes that Open-Meteo uses."""
    if storm:
        return 95
    if amount:
        light, middle, heavy = (71, 73, 75) if freezing else (61, 63, 65)
        if amount < 1.5:
            return 71 if freezing else 51
        return light if amount < 4 else middle if amount < 8 else heavy
    if clouds > 75:
        return 3
    return 2 if clouds > 45 else 1 if clouds > 20 else 0
