"""Open-Meteo: places by their name, and their weather. It needs no key.

Source: open-meteo.com/en/docs and open-meteo.com/en/docs/geocoding-api. Free for non-commercial use up
to 600 requests a minute from one address, so what was asked is kept for ten minutes. The data are
under CC BY 4.0: whoever shows them names `ATTRIBUTION`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Self, TypeVar

import httpx2
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..core.errors import ToolExecutionError
from ..utils.ttl_cache import TTLCache

ATTRIBUTION = "Weather data by Open-Meteo.com"
MAX_DAYS = 16
CACHE_SECONDS = 600.0
CACHE_SIZE = 1000
TIMEOUT = 10.0
"""Seconds for one answer, all in all."""

_CURRENT = (
    "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,"
    "wind_speed_10m,wind_direction_10m,is_day"
)
_DAILY = (
    "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,precipitation_probability_max,"
    "wind_speed_10m_max,sunrise,sunset"
)


class WeatherUnavailableError(ToolExecutionError):
    """No usable answer now: a timeout, 429, 5xx, or something that is no answer."""


class Units(StrEnum):
    """In what is measured."""

    METRIC = "metric"
    """°C, km/h, mm."""
    IMPERIAL = "imperial"
    """°F, mph, inch."""


_UNITS: Mapping[Units, Mapping[str, str]] = {
    Units.METRIC: {},
    Units.IMPERIAL: {
        "temperature_unit": "fahrenheit",
        "wind_speed_unit": "mph",
        "precipitation_unit": "inch",
    },
}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Place(_Wire):
    """A place on earth; `latitude` and `longitude` in degrees."""

    name: str
    latitude: float
    longitude: float
    country: str | None = None
    country_code: str | None = None
    admin1: str | None = None
    """State, region, oblast, …"""
    population: int | None = None
    timezone: str | None = None

    @property
    def spot(self) -> tuple[int, int]:
        """The same for the same place in whatever language: where it is, to about a kilometre."""
        return round(self.latitude * 100), round(self.longitude * 100)

    @property
    def label(self) -> str:
        """Name, region and country: `Paris, Texas, United States`."""
        parts = [self.name, self.admin1, self.country]
        return ", ".join(dict.fromkeys(part for part in parts if part))


class _SearchResults(_Wire):
    results: tuple[Place, ...] = ()
    """Absent where nothing was found."""


class Current(_Wire):
    """The weather now; None is what no model knows there."""

    time: str | None = None
    temperature: float | None = Field(default=None, alias="temperature_2m")
    feels_like: float | None = Field(default=None, alias="apparent_temperature")
    humidity: float | None = Field(default=None, alias="relative_humidity_2m")
    precipitation: float | None = None
    weather_code: int | None = None
    wind_speed: float | None = Field(default=None, alias="wind_speed_10m")
    wind_direction: float | None = Field(default=None, alias="wind_direction_10m")


class Daily(_Wire):
    """The days, one after the other; the lists are all as long as `time`, with None for what was not told."""

    model_config = ConfigDict(validate_default=True)

    time: tuple[date, ...]
    weather_code: tuple[int | None, ...] = ()
    highest: tuple[float | None, ...] = Field(default=(), alias="temperature_2m_max")
    lowest: tuple[float | None, ...] = Field(default=(), alias="temperature_2m_min")
    precipitation: tuple[float | None, ...] = Field(default=(), alias="precipitation_sum")
    chance: tuple[float | None, ...] = Field(default=(), alias="precipitation_probability_max")
    """Of precipitation, in percent."""
    wind_speed: tuple[float | None, ...] = Field(default=(), alias="wind_speed_10m_max")
    sunrise: tuple[str | None, ...] = ()
    sunset: tuple[str | None, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _one_for_each_day(cls, told: object, info: ValidationInfo) -> object:
        days = info.data.get("time")
        if days is None or not isinstance(told, list | tuple | None):
            return told  # `time` itself, or for the type to refuse
        known = (told or ())[: len(days)]
        return [*known, *[None] * (len(days) - len(known))]


class Forecast(_Wire):
    """Weather now and on the next days, in the place's own time; one of both may be missing."""

    timezone: str | None = None
    current: Current | None = None
    daily: Daily | None = None

    @model_validator(mode="after")
    def _tells_something(self) -> Self:
        if self.current is None and self.daily is None:
            msg = "neither current nor daily weather"
            raise ValueError(msg)
        return self


Answer = TypeVar("Answer", bound=BaseModel)


class WeatherClient:
    """One connection pool to Open-Meteo, made when first needed; close it with `aclose()`."""

    def __init__(
        self, *, forecast_url: str, geocoding_url: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._forecast_url = _address(forecast_url, "/v1/forecast")
        self._search_url = _address(geocoding_url, "/v1/search")
        self._cache: TTLCache[tuple[str, frozenset[tuple[str, str]]], bytes] = TTLCache(
            seconds=CACHE_SECONDS, limit=CACHE_SIZE, now=now
        )

    async def places(self, name: str, language: str) -> tuple[Place, ...]:
        """Up to ten places of this name, the most likely first, in `language` where it has names for them.

        Raises:
            WeatherUnavailableError: no usable answer.
        """
        wanted = {"name": name, "count": "10", "language": language, "format": "json"}
        return (await self._get(self._search_url, wanted, _SearchResults)).results

    async def forecast(self, place: Place, days: int, units: Units) -> Forecast:
        """The weather there now and on `days` days, today first.

        Raises:
            WeatherUnavailableError: no usable answer.
        """
        wanted = {
            "latitude": f"{place.latitude:.4f}",
            "longitude": f"{place.longitude:.4f}",
            "current": _CURRENT,
            "daily": _DAILY,
            "timezone": "auto",
            "forecast_days": str(days),
            **_UNITS[units],
        }
        return await self._get(self._forecast_url, wanted, Forecast)

    async def aclose(self) -> None:
        """Close the pool, where there is one."""
        if "_http" in self.__dict__:
            await self._http.aclose()

    # when first needed: most processes never ask for the weather, and a client costs memory
    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(timeout=httpx2.Timeout(TIMEOUT, connect=3.0))

    async def _get(self, url: str, params: Mapping[str, str], shape: type[Answer]) -> Answer:
        key = (url, frozenset(params.items()))
        body = self._cache.get(key)
        if body is not None:
            return shape.model_validate_json(body)
        body = await self._fetch(url, params)
        try:
            answer = shape.model_validate_json(body)
        except ValidationError as exc:
            msg = "the weather service gave an answer that cannot be read"
            raise WeatherUnavailableError(msg) from exc
        # only what could be read: an error page must not be repeated for ten minutes
        self._cache.put(key, body)
        return answer

    async def _fetch(self, url: str, params: Mapping[str, str]) -> bytes:
        try:
            # the client's own timeout is per read: a server that drips bytes would hold us for ever
            async with asyncio.timeout(TIMEOUT):
                response = await self._http.get(url, params=dict(params))
        except (TimeoutError, httpx2.RequestError) as exc:
            msg = "the weather service does not answer at the moment"
            raise WeatherUnavailableError(msg) from exc
        if response.status_code == 429:
            msg = "the weather service has been asked too often; it may work again in a minute"
            raise WeatherUnavailableError(msg)
        if not response.is_success:
            msg = f"the weather service refused to answer ({response.status_code})"
            raise WeatherUnavailableError(msg)
        return response.content


def _address(base: str, path: str) -> str:
    """`base` with `path` behind it, as far as it is not there already."""
    base = base.rstrip("/")
    if base.endswith(path):
        return base
    version, _, name = path.rpartition("/")
    return f"{base}/{name}" if base.endswith(version) else base + path
