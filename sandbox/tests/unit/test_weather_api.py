"""The stand-in for Open-Meteo."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.weather.forecast import Spot, daylight, forecast, weather_on
from sandbox.weather.places import all_places, find_places

BERLIN = {"latitude": "52.5244", "longitude": "13.4105", "timezone": "auto"}
CURRENT = "temperature_2m,apparent_temperature,precipitation,weather_code,wind_speed_10m,is_day"
DAILY = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,sunrise,sunset"
NOW = datetime(2026, 11, 22, 9, 37, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


async def search(outside: Any, **query: Any) -> Any:
    return await outside.get(f"/weather/v1/search?{urlencode(query)}")


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ({"name": "Berlin"}, "Berlin, Germany"),
        ({"name": "berl"}, "Berlin, Germany"),
        ({"name": "Берлин", "language": "ru"}, "Берлин, Германия"),
        ({"name": "Берлин", "language": "en"}, "Berlin, Germany"),
        ({"name": "Санкт-Петербург", "language": "ru"}, "Санкт-Петербург, Россия"),
        ({"name": "Петербург", "language": "ru"}, "Санкт-Петербург, Россия"),
        ({"name": "São Paulo"}, "Sao Paulo, Brazil"),
        ({"name": "Kathmandu"}, "Kathmandu, Nepal"),
        ({"name": "Paris", "countryCode": "us"}, "Paris, United States"),
        ({"name": "London, Canada"}, "London, Canada"),
        ({"name": "Moscow, Idaho"}, "Moscow, United States"),
    ],
)
async def test_a_place_is_found(outside: Any, query: Any, label: str):
    first = (await search(outside, **query))["results"][0]
    assert f"{first['name']}, {first['country']}" == label


async def test_namesakes_come_biggest_first(outside: Any):
    found = (await search(outside, name="Paris"))["results"]
    assert [place.get("admin1") for place in found] == ["Île-de-France", "Texas"]
    assert len((await search(outside, name="Paris", count=1))["results"]) == 1


@pytest.mark.parametrize("name", ["Atlantis", "P", "", "Pa"])
async def test_nothing_found_has_no_results(outside: Any, name: str):
    assert "results" not in await search(outside, name=name)


async def test_a_forecast_in_the_shape_of_the_service(outside: Any):
    query = {**BERLIN, "current": CURRENT, "daily": DAILY, "forecast_days": 3}
    told = await outside.get(f"/weather/v1/forecast?{urlencode(query)}")
    assert told["timezone"] == "Europe/Berlin"
    assert told["utc_offset_seconds"] in {3600, 7200}
    assert told["current_units"]["temperature_2m"] == "°C"
    assert told["current_units"]["weather_code"] == "wmo code"
    assert set(told["current"]) == {"time", "interval", *CURRENT.split(",")}
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    assert told["daily"]["time"] == [str(today + timedelta(days=number)) for number in range(3)]
    assert {len(column) for column in told["daily"].values()} == {3}
    assert set(told["daily_units"]) == set(told["daily"]) == {"time", *DAILY.split(",")}


def test_the_same_question_has_the_same_answer():
    query = {**BERLIN, "current": CURRENT, "daily": DAILY}
    assert forecast(query, NOW) == forecast(query, NOW)
    assert forecast(query, NOW)["current"]["time"] == "2026-11-22T10:30"
    later = forecast(query, NOW + timedelta(days=1))
    assert later["daily"]["temperature_2m_max"][0] == forecast(query, NOW)["daily"]["temperature_2m_max"][1]


def test_units_are_the_callers():
    query = {**BERLIN, "current": "temperature_2m,wind_speed_10m", "daily": "precipitation_sum,sunrise"}
    metric = forecast(query, NOW)
    units = {"temperature_unit": "fahrenheit", "wind_speed_unit": "mph", "precipitation_unit": "inch"}
    imperial = forecast({**query, **units}, NOW)
    assert imperial["current_units"]["temperature_2m"] == "°F"
    assert imperial["current"]["temperature_2m"] == pytest.approx(
        metric["current"]["temperature_2m"] * 1.8 + 32, abs=0.06
    )
    assert imperial["current"]["wind_speed_10m"] == pytest.approx(
        metric["current"]["wind_speed_10m"] / 1.609344, abs=0.06
    )
    assert imperial["daily_units"]["precipitation_sum"] == "inch"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"latitude": None}, "must have the same number of elements"),
        ({"latitude": "91"}, "Latitude must be in range of -90 to 90°. Given: 91.0."),
        ({"latitude": "north"}, "invalid String value north"),
        ({"current": "mood"}, "invalid String value mood for key current"),
        ({"daily": "temperature_2m"}, "invalid String value temperature_2m for key daily"),
        ({"daily": "sunrise", "timezone": None}, "Timezone is required"),
        ({"timezone": "Moon/Crater"}, "Invalid timezone"),
        ({"forecast_days": "17"}, "Allowed range 0 to 16. Given 17."),
        ({"temperature_unit": "kelvin"}, "invalid String value kelvin"),
    ],
)
async def test_refused_questions(outside: Any, change: Any, reason: str):
    query = {name: value for name, value in {**BERLIN, **change}.items() if value is not None}
    async with outside.session.get(f"{outside.url}/weather/v1/forecast?{urlencode(query)}") as response:
        body = await response.json()
        assert (response.status, body["error"]) == (400, True)
        assert reason in body["reason"]


async def test_trouble_on_order(outside: Any):
    await outside.fault(target="weather", kind="status", status=429, retry_after=60, times=1)
    async with outside.session.get(f"{outside.url}/weather/v1/search?name=Rome") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "60")
        assert "limit exceeded" in (await response.json())["reason"]
    await outside.fault(target="weather", kind="status", method="forecast")
    assert (await search(outside, name="Rome"))["results"]
    assert (await outside.get("/control/stats"))["calls"]["weather.search"] == 2


@given(st.floats(-90, 90), st.floats(-180, 180), st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_weather_anywhere_is_weather(latitude: float, longitude: float, day: date):
    spot = Spot(latitude, longitude, UTC_ZONE)
    weather = weather_on(spot, day)
    assert -75 < weather.low <= weather.high < 55
    assert weather.code in {0, 1, 2, 3, 61, 63, 65, 71, 73, 75, 95}
    assert (weather.rain > 0) == (weather.code > 3)
    assert 0 <= weather.chance <= 100
    assert 0 <= weather.humidity <= 100
    dawn, dusk = daylight(spot, day)
    assert timedelta(0) <= dusk - dawn <= timedelta(days=1)


def test_seasons_and_the_sun():
    winter, summer = date(2027, 1, 15), date(2027, 7, 15)
    berlin, sydney = Spot(52.5, 13.4, ZoneInfo("Europe/Berlin")), Spot(-33.9, 151.2, UTC_ZONE)
    assert weather_on(berlin, winter).high + 8 < weather_on(berlin, summer).high
    assert weather_on(sydney, winter).high > weather_on(sydney, summer).high
    dawn, dusk = daylight(berlin, date(2026, 11, 22))
    assert abs(dawn - datetime(2026, 11, 22, 7, 38, tzinfo=berlin.zone)) < timedelta(minutes=20)
    assert abs(dusk - datetime(2026, 11, 22, 16, 2, tzinfo=berlin.zone)) < timedelta(minutes=20)


def test_every_place_has_a_zone_and_a_country():
    for place in all_places():
        assert ZoneInfo(place.zone)
        assert place.country("en"), place
    assert len(all_places()) > 300
    assert find_places("Lisb")[0].name("ru") == "Лиссабон"
