"""The weather now and on the next days, anywhere."""

import re
from dataclasses import dataclass, field
from typing import Any

from service_kit.contracts.tools import ToolType

from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..services.weather import ATTRIBUTION, MAX_DAYS, Current, Daily, Forecast, Place, Units, WeatherClient
from ..utils.locale import at_home_in_us, language_of
from ..utils.text import compact_json
from .base import Arguments, BaseTool, InvalidInputError
from .registry import ToolKind, ToolSite, ToolSource
from .weather_words import in_words

DEFAULT_DAYS = 3
LONGEST_NAME = 100
OTHERS = 4
"""Places of the same name that are named beside the one chosen."""

WEATHER_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "location": {
            "type": "string",
            "description": "A city or place, best by its English name. Where several have this name, add "
            "region or country behind commas: `Paris, Texas`.",
        },
        "days": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_DAYS,
            "description": "How many days of forecast, today included: 2 for tomorrow. "
            f"Default: {DEFAULT_DAYS}.",
        },
        "units": {
            "type": "string",
            "enum": [unit.value for unit in Units],
            "description": "Only when the user asks for it. Default: what is usual where the user lives.",
        },
    },
    "required": ["location"],
    "additionalProperties": False,
}
DESCRIPTION = (
    "Weather now and forecast for up to 16 days, anywhere. Name the place that the result names, and end "
    f"the answer with its attribution: {ATTRIBUTION}."
)
_SYMBOLS = {
    Units.METRIC: {"temperature": "°C", "wind": "km/h", "precipitation": "mm"},
    Units.IMPERIAL: {"temperature": "°F", "wind": "mph", "precipitation": "inch"},
}
_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_CODES = {"usa": "US", "u.s.": "US", "uk": "GB", "uae": "AE"}
"""What countries are called that are known by another code."""
_CYRILLIC = re.compile("[а-яёА-ЯЁ]")


class WeatherTool(BaseTool):
    """Answers JSON: `{"location", "timezone", "units", "current", "days", "attribution"}`.

    What the service did not tell is left out. `location` names region and country; `other_places` those
    of the same name elsewhere. All times are the place's own. Words are Russian for users whose language
    is Russian, else English.
    """

    def __init__(
        self,
        client: WeatherClient,
        name: str = "get_weather",
        description: str = DESCRIPTION,
        schema: JsonSchema = WEATHER_SCHEMA,
        timeout: float | None = None,
    ) -> None:
        super().__init__(name=name, description=description, schema=schema, timeout=timeout)
        self._client = client

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """The weather there.

        Raises:
            InvalidInputError: there is no such place.
            WeatherUnavailableError: Open-Meteo gave no usable answer.
        """
        user = context.user
        language = language_of(user.language)
        place, others = await self._find_place(str(arguments.get("location", "")).strip(), language)
        usual = Units.IMPERIAL if at_home_in_us(user.language, user.timezone) else Units.METRIC
        units = Units(arguments.get("units") or usual)
        days = max(1, min(MAX_DAYS, int(arguments.get("days") or DEFAULT_DAYS)))
        forecast = await self._client.forecast(place, days, units)
        return compact_json(_describe(place, others, forecast, units, russian=language == "ru"))

    async def _find_place(self, location: str, language: str) -> tuple[Place, list[str]]:
        """The place meant, and how others of this name are called.

        The service finds a name only in the language that it is told (found by theqkash/esp32flight:
        "warszawa" in English is a neighbourhood in Ohio). So it is asked in the user's language, in that
        of the name and in English, and of all the places found the largest of this very name is meant.
        """
        name, *rest = (part.strip() for part in location.split(","))
        if not 2 <= len(name) <= LONGEST_NAME:
            msg = "name a city or place in `location`"
            raise InvalidInputError(msg)
        rest = [_CODES.get(part.lower(), part) for part in rest if part]
        found: dict[tuple[int, int], _Candidate] = {}
        # by place: it comes under another name in each language
        for tongue in dict.fromkeys([language, "ru" if _CYRILLIC.search(name) else "en", "en"]):
            for place in await self._client.places(name, tongue):
                found.setdefault(place.spot, _Candidate()).variants.append(place)
        # a village with exactly this name comes before a larger town that only begins with it
        candidates = sorted(found.values(), key=lambda one: one.rank(name), reverse=True)
        matching = [one for one in candidates if one.is_in(rest)]
        if matching:
            label = matching[0].place.label
            others = [one.place.label for one in candidates if one.is_called(name)]
            return matching[0].place, [other for other in dict.fromkeys(others) if other != label][:OTHERS]
        if candidates:
            known = "; ".join(one.place.label for one in candidates[:OTHERS])
            msg = f"there is no {name!r} in {', '.join(rest)!r}; there is: {known}"
        else:
            msg = (
                f"no place called {location!r} was found; check the spelling, give the English name, or the "
                "nearest larger town"
            )
        raise InvalidInputError(msg)


@dataclass(slots=True)
class _Candidate:
    """One place, as it is called in the languages asked in; the user's comes first."""

    variants: list[Place] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return self.variants[0]

    def is_called(self, name: str) -> bool:
        return any(place.name.lower() == name.lower() for place in self.variants)

    def rank(self, name: str) -> tuple[bool, int]:
        return self.is_called(name), max(place.population or 0 for place in self.variants)

    def is_in(self, parts: list[str]) -> bool:
        """Whether all of these are parts of where it is: region, country, or its code."""
        where = [
            known.lower()
            for place in self.variants
            for known in (place.admin1, place.country, place.country_code)
            if known
        ]
        return all(any(known.startswith(part.lower()) for known in where) for part in parts)


def _describe(
    place: Place, others: list[str], forecast: Forecast, units: Units, *, russian: bool
) -> dict[str, Any]:
    current, daily = forecast.current, forecast.daily
    return _drop_none(
        {
            "location": place.label,
            "other_places": others or None,
            "timezone": forecast.timezone or place.timezone,
            "units": _SYMBOLS[units],
            "current": _describe_now(current, russian=russian) if current else None,
            "days": _describe_days(daily, russian=russian) if daily else None,
            "attribution": ATTRIBUTION,
        }
    )


def _describe_now(current: Current, *, russian: bool) -> dict[str, Any]:
    return _drop_none(
        {
            "time": current.time,
            "description": in_words(current.weather_code, russian=russian),
            "temperature": current.temperature,
            "feels_like": current.feels_like,
            "humidity_percent": current.humidity,
            "precipitation": current.precipitation,
            "wind_speed": current.wind_speed,
            "wind_from": _compass(current.wind_direction),
        }
    )


def _describe_days(daily: Daily, *, russian: bool) -> list[dict[str, Any]]:
    return [
        _drop_none(
            {
                "date": day.isoformat(),
                "weekday": f"{day:%A}",
                "description": in_words(daily.weather_code[number], russian=russian),
                "highest": daily.highest[number],
                "lowest": daily.lowest[number],
                "precipitation": daily.precipitation[number],
                "precipitation_chance_percent": daily.chance[number],
                "wind_speed": daily.wind_speed[number],
                "sunrise": _time_of_day(daily.sunrise[number]),
                "sunset": _time_of_day(daily.sunset[number]),
            }
        )
        for number, day in enumerate(daily.time)
    ]


def _drop_none(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _time_of_day(time: str | None) -> str | None:
    """`08:12` of `2026-11-22T08:12`."""
    return (time or "").partition("T")[2] or None


def _compass(degrees: float | None) -> str | None:
    return None if degrees is None else _COMPASS[round(degrees / 45) % 8]


def _build(source: ToolSource, site: ToolSite) -> BaseTool:
    return WeatherTool(
        site.services.weather,
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(WEATHER_SCHEMA),
        timeout=site.tool_timeout,
    )


TOOL_KIND = ToolKind(ToolType.WEATHER, _build)
