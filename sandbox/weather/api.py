"""`/weather/v1`: Open-Meteo's geocoding and forecast, under one address."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aiohttp import web

from ..faults import Fault, FaultBoard, apply_fault
from ..model.conversation import JsonObject
from ..stats import Stats
from .forecast import RefusedError, forecast
from .places import Place, find_places

_USUAL_RESULTS = 10
_MOST_RESULTS = 100
_REASONS = {
    429: "Minutely API request limit exceeded. Please try again in one minute.",
    502: "Bad Gateway",
}


class WeatherApi:
    """Deterministic weather for some hundred cities and whatever lies between them."""

    def __init__(self, stats: Stats, faults: FaultBoard) -> None:
        self._stats = stats
        self._faults = faults

    def add_routes(self, app: web.Application) -> None:
        """Both services."""
        self._add(app, "search", _search)
        self._add(app, "forecast", _forecast)

    def _add(
        self, app: web.Application, method: str, answer: Callable[[Mapping[str, str]], JsonObject]
    ) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._stats.count("weather", method)

            async def proceed() -> web.Response:
                try:
                    return web.json_response(answer(request.query))
                except RefusedError as refused:
                    return _refusal(400, str(refused))

            fault = self._faults.take("weather", method)
            if fault is None:
                return await proceed()
            self._stats.faults[f"weather.{fault.kind}"] += 1
            return await apply_fault(fault, request, proceed, _error_of)

        app.router.add_get(f"/weather/v1/{method}", handle)


def _search(query: Mapping[str, str]) -> JsonObject:
    """Without a `results` key where nothing is found, as the real one."""
    if "name" not in query:
        raise RefusedError("Parameter name is required.")
    if query.get("format", "json") != "json":
        raise RefusedError("Only the format json is played here.")
    count = query.get("count", str(_USUAL_RESULTS))
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_RESULTS:
        raise RefusedError(f"Parameter count must be between 1 and {_MOST_RESULTS}.")
    found = find_places(query["name"], query.get("countryCode"))[: int(count)]
    language = query.get("language", "en").lower()
    head: JsonObject = {"results": [_result(place, language) for place in found]} if found else {}
    return head | {"generationtime_ms": 0.1}


def _result(place: Place, language: str) -> JsonObject:
    result: JsonObject = {
        "id": place.id,
        "name": place.name(language),
        "latitude": place.latitude,
        "longitude": place.longitude,
        "feature_code": "PPL",
        "country_code": place.country_code,
        "timezone": place.zone,
        "country": place.country(language),
    }
    if place.population:
        result["population"] = place.population
    if place.region and language != "ru":
        result["admin1"] = place.region
    return result


def _forecast(query: Mapping[str, str]) -> JsonObject:
    return forecast(query, datetime.now(UTC))


def _error_of(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    reason = fault.description or _REASONS.get(fault.status, "Internal Server Error")
    response = _refusal(fault.status, reason)
    response.headers.update(headers)
    return response


def _refusal(status: int, reason: str) -> web.Response:
    return web.json_response({"error": True, "reason": reason}, status=status)
