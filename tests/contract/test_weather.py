"""The weather tool and the sandbox's Open-Meteo speak the same protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assistant.src.core.errors import InvalidInputError
from assistant.src.services.weather import MAX_DAYS, WeatherClient, WeatherUnavailableError
from assistant.src.tools.weather_tool import WeatherTool
from assistant.tests.fakes import context_of
from sandbox.tests.conftest import Outside, running


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with running() as started:
        yield started


@pytest.fixture
async def tool(outside: Outside) -> AsyncIterator[WeatherTool]:
    base = f"{outside.url}/weather"  # as `ops` sets both addresses
    client = WeatherClient(forecast_url=base, geocoding_url=base)
    yield WeatherTool(client)
    await client.aclose()


async def ask(tool: WeatherTool, *, language: str = "en", **arguments: Any) -> Any:
    context = context_of(language=language, timezone=ZoneInfo("Europe/Berlin"), timezone_known=True)
    return json.loads(await tool.execute(tool.check(arguments), context))


async def test_a_forecast_for_as_many_days_as_there_are(tool):
    answer = await ask(tool, location="Paris", days=MAX_DAYS)
    assert answer["location"].startswith("Paris")
    assert answer["timezone"] == "Europe/Paris"
    assert len(answer["days"]) == MAX_DAYS
    assert {"time", "description", "temperature", "wind_speed", "wind_from"} <= answer["current"].keys()
    for day in answer["days"]:
        assert day["lowest"] <= day["highest"]
        assert day["sunrise"] < day["sunset"]


async def test_units(tool):
    metric, imperial = [await ask(tool, location="Paris", units=unit) for unit in ("metric", "imperial")]
    celsius, fahrenheit = metric["current"]["temperature"], imperial["current"]["temperature"]
    assert fahrenheit == pytest.approx(celsius * 9 / 5 + 32, abs=0.2)
    assert imperial["units"] == {"temperature": "°F", "wind": "mph", "precipitation": "inch"}


async def test_russian(tool):
    answer = await ask(tool, location="Москва", language="ru")
    assert answer["location"].startswith("Москва")
    assert (await ask(tool, location="Москва"))["location"].startswith("Moscow")


async def test_a_place_that_is_not_there(tool):
    with pytest.raises(InvalidInputError, match="no place called"):
        await ask(tool, location="Xyzzyville")


async def test_too_many_requests(tool, outside):
    await outside.fault(target="weather", kind="status", status=429)
    with pytest.raises(WeatherUnavailableError, match="too often"):
        await ask(tool, location="Paris")
