"""The variables of Open-Meteo that the stand-in plays, and the units in which they can be had."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from .climate import Day, Moment

Kind = Literal[
    "temperature", "wind", "precipitation", "snow", "percent", "degrees", "code", "pressure", "flag"
]
Source = TypeVar("Source")

_SIGNS: Mapping[Kind, Mapping[str, str]] = {
    "temperature": {"celsius": "°C", "fahrenheit": "°F"},
    "wind": {"kmh": "km/h", "ms": "m/s", "mph": "mp/h", "kn": "kn"},
    "precipitation": {"mm": "mm", "inch": "inch"},
    "snow": {"mm": "cm", "inch": "inch"},
    "percent": {"": "%"},
    "degrees": {"": "°"},
    "code": {"": "wmo code"},
    "pressure": {"": "hPa"},
    "flag": {"": ""},
}
_FACTORS = {"ms": 1 / 3.6, "mph": 0.621371, "kn": 0.539957}
"""From km/h."""


@dataclass(frozen=True, slots=True)
class Units:
    """What the caller wants to read; the sandbox reckons in °C, km/h, mm, and cm of snow."""

    temperature: str = "celsius"
    wind: str = "kmh"
    precipitation: str = "mm"

    def sign(self, kind: Kind) -> str:
        """How a figure of this kind is marked."""
        return _SIGNS[kind][self._unit(kind)]

    def figure(self, kind: Kind, value: float) -> float:
        """A figure in the caller's unit, rounded as the real service does."""
        match kind, self._unit(kind):
            case "temperature", "fahrenheit":
                return round(value * 9 / 5 + 32, 1)
            case "wind", unit:
                return round(value * _FACTORS.get(unit, 1.0), 1)
            case "precipitation", "inch":
                return round(value / 25.4, 3)
            case "snow", "inch":
                return round(value / 2.54, 2)
        return value

    def _unit(self, kind: Kind) -> str:
        match kind:
            case "temperature":
                return self.temperature
            case "wind":
                return self.wind
            case "precipitation" | "snow":
                return self.precipitation
        return ""


@dataclass(frozen=True, slots=True)
class Variable(Generic[Source]):
    """One figure of a moment or of a day."""

    kind: Kind
    of: Callable[[Source], float]


MOMENTS: Mapping[str, Variable[Moment]] = {
    "temperature_2m": Variable("temperature", lambda now: now.temperature),
    "apparent_temperature": Variable("temperature", lambda now: now.feels_like),
    "relative_humidity_2m": Variable("percent", lambda now: now.humidity),
    "precipitation": Variable("precipitation", lambda now: now.rain),
    "precipitation_probability": Variable("percent", lambda now: now.day.chance),
    "rain": Variable("precipitation", lambda now: 0.0 if now.snow else now.rain),
    "snowfall": Variable("snow", lambda now: now.snow),
    "weather_code": Variable("code", lambda now: now.day.code),
    "cloud_cover": Variable("percent", lambda now: now.day.clouds),
    "pressure_msl": Variable("pressure", lambda now: now.day.pressure),
    "wind_speed_10m": Variable("wind", lambda now: now.day.wind),
    "wind_gusts_10m": Variable("wind", lambda now: now.day.wind * 1.8),
    "wind_direction_10m": Variable("degrees", lambda now: now.day.wind_from),
    "is_day": Variable("flag", lambda now: int(now.is_day)),
}
"""For `current` and `hourly`."""
DAYS: Mapping[str, Variable[Day]] = {
    "weather_code": Variable("code", lambda day: day.code),
    "temperature_2m_max": Variable("temperature", lambda day: day.high),
    "temperature_2m_min": Variable("temperature", lambda day: day.low),
    "temperature_2m_mean": Variable("temperature", lambda day: round((day.high + day.low) / 2, 1)),
    "precipitation_sum": Variable("precipitation", lambda day: day.rain),
    "rain_sum": Variable("precipitation", lambda day: 0.0 if day.snow else day.rain),
    "snowfall_sum": Variable("snow", lambda day: day.snow),
    "precipitation_probability_max": Variable("percent", lambda day: day.chance),
    "wind_speed_10m_max": Variable("wind", lambda day: day.wind),
    "wind_gusts_10m_max": Variable("wind", lambda day: day.wind * 1.8),
    "wind_direction_10m_dominant": Variable("degrees", lambda day: day.wind_from),
}
"""For `daily`, besides sunrise and sunset."""
SUN = ("sunrise", "sunset")
