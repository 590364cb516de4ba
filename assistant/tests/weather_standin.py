"""Open-Meteo as far as this service asks it, in the shapes of its documentation."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from assistant.src.utils.text import compact_json
from assistant.tests.standin import HttpStandIn, Reply, Request

TODAY = date(2026, 11, 22)


def place(
    name: str, admin1: str, country: str, code: str, at: float = 48.85, *, people: int, **names: str
) -> dict[str, Any]:
    """A row of the geocoder; `names` are those in other languages, under which alone it is found in them."""
    return {
        "name": name,
        "latitude": at,
        "longitude": 2.35,
        "admin1": admin1,
        "country": country,
        "country_code": code,
        "timezone": "Europe/Paris",
        "population": people,
        "names": names,
    }


PARIS = place("Paris", "Île-de-France", "France", "FR", people=2_138_551, ru="Париж")
PARIS_TEXAS = place("Paris", "Texas", "United States", "US", at=33.66, people=24_839)
MOSCOW = place("Moscow", "Moscow", "Russia", "RU", at=55.75, people=10_381_222, ru="Москва")
MOSCOW_IDAHO = place("Moscow", "Idaho", "United States", "US", at=46.73, people=25_000)
WARSAW = place("Warsaw", "Masovian", "Poland", "PL", at=52.23, people=1_700_000, pl="Warszawa")
WARSZAWA_OHIO = place("Warszawa", "Ohio", "United States", "US", at=41.46, people=0)


class WeatherStandIn(HttpStandIn):
    """Tells the same weather everywhere; `reply` replaces its answers, `asked` keeps the requests.

    `forecast_lacks` names what its forecasts leave out, `forecast_has` what they hold instead, as in
    `daily` or `daily.sunset`.
    """

    def __init__(self, *places: dict[str, Any]) -> None:
        super().__init__()
        self.places = places or (PARIS_TEXAS, PARIS, MOSCOW_IDAHO, MOSCOW, WARSZAWA_OHIO, WARSAW)
        self.reply: Reply | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.forecast_lacks: tuple[str, ...] = ()
        self.forecast_has: dict[str, Any] = {}

    def respond(self, request: Request) -> Reply:
        address = urlsplit(request.target)
        wanted = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.asked.append((address.path, wanted))
        if self.reply is not None:
            return self.reply
        body = _search(self.places, wanted) if address.path == "/v1/search" else self._told(wanted)
        return Reply(compact_json(body).encode())

    def _told(self, wanted: dict[str, str]) -> dict[str, Any]:
        forecast = _forecast(wanted)
        for path in (*self.forecast_lacks, *self.forecast_has):
            group, _, name = path.rpartition(".")
            block = forecast[group] if group else forecast
            block.pop(name)
            if path in self.forecast_has:
                block[name] = self.forecast_has[path]
        return forecast


def _search(places: Sequence[dict[str, Any]], wanted: dict[str, str]) -> dict[str, Any]:
    name, language = wanted["name"].lower(), wanted["language"]
    found = [
        row | {"name": row["names"].get(language, row["name"])}
        for row in places
        if name in {row["name"].lower(), row["names"].get(language, "").lower()}
    ]
    return {"results": found, "generationtime_ms": 0.5} if found else {"generationtime_ms": 0.5}


def _forecast(wanted: dict[str, str]) -> dict[str, Any]:
    days = [TODAY + timedelta(days=n) for n in range(int(wanted["forecast_days"]))]
    return {
        "latitude": 48.86,
        "longitude": 2.34,
        "utc_offset_seconds": 3600,
        "timezone": "Europe/Paris",
        "current_units": {"temperature_2m": "°C"},
        "current": {
            "time": "2026-11-22T13:00",
            "interval": 900,
            "temperature_2m": 45.5 if wanted.get("temperature_unit") == "fahrenheit" else 7.5,
            "apparent_temperature": 4.0,
            "relative_humidity_2m": 81,
            "precipitation": 0.2,
            "weather_code": 61,
            "wind_speed_10m": 12.3,
            "wind_direction_10m": 225,
            "is_day": 1,
        },
        "daily": {
            "time": [day.isoformat() for day in days],
            "weather_code": [3 for _ in days],
            "temperature_2m_max": [9.0 for _ in days],
            "temperature_2m_min": [2.0 for _ in days],
            "precipitation_sum": [1.4 for _ in days],
            "precipitation_probability_max": [None for _ in days],
            "wind_speed_10m_max": [20.0 for _ in days],
            "sunrise": [f"{day}T08:12" for day in days],
            "sunset": [f"{day}T17:01" for day in days],
        },
    }
