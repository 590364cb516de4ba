import json
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assistant.src.services.weather import (
    ATTRIBUTION,
    CACHE_SECONDS,
    WeatherClient,
    WeatherUnavailableError,
)
from assistant.src.tools.base import InvalidInputError
from assistant.src.tools.weather_tool import WeatherTool
from assistant.tests.fakes import context_of
from assistant.tests.standin import Reply
from assistant.tests.weather_standin import WeatherStandIn


class Hands:
    """A clock's reading that tests move."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def standin() -> AsyncIterator[WeatherStandIn]:
    async with WeatherStandIn() as standin:
        yield standin


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def tool(standin: WeatherStandIn, hands: Hands) -> AsyncIterator[WeatherTool]:
    client = WeatherClient(forecast_url=standin.url, geocoding_url=f"{standin.url}/v1/", now=hands)
    yield WeatherTool(client)
    await client.aclose()


async def ask(
    tool: WeatherTool, *, zone: str = "Europe/Berlin", language: str = "en", **arguments: Any
) -> Any:
    context = context_of(language=language, timezone=ZoneInfo(zone), timezone_known=True)
    return json.loads(await tool.execute(tool.check(arguments), context))


def forecasts(standin: WeatherStandIn) -> list[dict[str, str]]:
    return [wanted for path, wanted in standin.asked if path == "/v1/forecast"]


async def test_the_weather_now_and_on_the_next_days(tool, standin):
    answer = await ask(tool, location="Paris", days=2)
    assert answer["location"] == "Paris, Île-de-France, France"
    assert answer["other_places"] == ["Paris, Texas, United States"]
    assert answer["current"] == {
        "time": "2026-11-22T13:00",
        "description": "light rain",
        "temperature": 7.5,
        "feels_like": 4.0,
        "humidity_percent": 81,
        "precipitation": 0.2,
        "wind_speed": 12.3,
        "wind_from": "SW",
    }
    assert answer["days"][1] == {
        "date": "2026-11-23",
        "weekday": "Monday",
        "description": "overcast",
        "highest": 9.0,
        "lowest": 2.0,
        "precipitation": 1.4,
        "wind_speed": 20.0,
        "sunrise": "08:12",
        "sunset": "17:01",
    }
    assert len(answer["days"]) == 2
    assert answer["attribution"] == ATTRIBUTION
    (wanted,) = forecasts(standin)
    assert (wanted["latitude"], wanted["longitude"], wanted["timezone"]) == ("48.8500", "2.3500", "auto")


@pytest.mark.parametrize("location", ["Paris, Texas", "Paris, tex, USA", "Paris,United States", "Paris, us"])
async def test_a_region_or_country_behind_the_name_decides(tool, location):
    answer = await ask(tool, location=location)
    assert answer["location"] == "Paris, Texas, United States"
    assert answer["other_places"] == ["Paris, Île-de-France, France"]


async def test_a_name_that_is_nowhere_in_that_country_tells_where_it_is(tool):
    with pytest.raises(InvalidInputError, match=r"Paris, Île-de-France, France; Paris, Texas, United States"):
        await ask(tool, location="Paris, Spain")


@pytest.mark.parametrize("location", ["Xyzzy", "Xyzzy, France"])
async def test_a_place_that_is_not_found_is_explained(tool, location):
    with pytest.raises(InvalidInputError, match="no place called"):
        await ask(tool, location=location)


@pytest.mark.parametrize("location", ["", " ", "X", "x" * 200, ", France"])
async def test_a_name_that_is_none_is_not_sent(tool, standin, location):
    with pytest.raises(InvalidInputError, match="name a city"):
        await ask(tool, location=location)
    assert standin.asked == []


async def test_a_russian_user_hears_russian_words(tool):
    answer = await ask(tool, location="Париж", language="ru-RU")
    assert answer["location"].startswith("Париж")
    assert answer["current"]["description"] == "небольшой дождь"


@pytest.mark.parametrize(("location", "language"), [("Москва", "en"), ("Moscow", "ru"), ("Moscow", "de")])
async def test_a_name_in_another_language_than_the_users_is_found(tool, location, language):
    assert (await ask(tool, location=location, language=language))["current"]["temperature"] == 7.5


@pytest.mark.parametrize(
    ("location", "language", "found"),
    [
        ("Moscow", "en", "Moscow, Russia"),
        ("Moscow", "ru", "Москва, Moscow, Russia"),
        ("Moscow, Idaho", "ru", "Moscow, Idaho, United States"),
        ("Warszawa", "pl", "Warszawa, Masovian, Poland"),
        ("Warsaw", "pl", "Warszawa, Masovian, Poland"),
    ],
)
async def test_of_several_places_the_largest_is_meant_called_as_the_user_does(
    tool, location, language, found
):
    assert (await ask(tool, location=location, language=language))["location"] == found


@pytest.mark.parametrize(
    ("home", "arguments", "unit"),
    [
        (("en-US", "Europe/Berlin"), {}, "°F"),
        (("en", "America/Chicago"), {}, "°F"),
        (("en", "America/Indiana/Knox"), {}, "°F"),
        (("en-GB", "America/Chicago"), {}, "°C"),
        (("en", "Europe/London"), {}, "°C"),
        (("ru", "Europe/Moscow"), {}, "°C"),
        (("en", "America/Toronto"), {}, "°C"),
        (("en-US", "America/Chicago"), {"units": "metric"}, "°C"),
        (("de", "Europe/Berlin"), {"units": "imperial"}, "°F"),
    ],
)
async def test_units_are_those_of_the_users_home(tool, standin, home, arguments, unit):
    language, zone = home
    answer = await ask(tool, language=language, zone=zone, location="Paris", **arguments)
    assert answer["units"]["temperature"] == unit
    (wanted,) = forecasts(standin)
    imperial = {"temperature_unit": "fahrenheit", "wind_speed_unit": "mph", "precipitation_unit": "inch"}
    assert imperial.items() <= wanted.items() if unit == "°F" else not imperial.keys() & wanted.keys()


async def test_ten_minutes_long_nothing_is_asked_twice(tool, standin, hands):
    first = await ask(tool, location="Paris")
    asked = len(standin.asked)
    hands.at += CACHE_SECONDS - 1
    assert await ask(tool, location="Paris") == first
    assert len(standin.asked) == asked
    await ask(tool, location="Paris", days=5)
    assert len(standin.asked) == asked + 1
    hands.at += 2
    await ask(tool, location="Paris")
    assert len(standin.asked) == asked + 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"", status=500), r"refused to answer \(500\)"),
        (Reply(b'{"error":true,"reason":"Minutely API request limit exceeded."}', status=429), "too often"),
        (Reply(b'{"error":true,"reason":"internals"}', status=400), r"refused to answer \(400\)"),
        (Reply(b"<html>"), "cannot be read"),
        (Reply(b'{"results":[{"name":"Paris"}]}'), "cannot be read"),
        (Reply(b"{", length=100), "does not answer"),
    ],
)
async def test_a_failure_is_typed_and_not_kept(tool, standin, reply, reason):
    standin.reply = reply
    with pytest.raises(WeatherUnavailableError, match=reason) as raised:
        await ask(tool, location="Paris")
    assert "internals" not in str(raised.value)
    standin.reply = None
    assert (await ask(tool, location="Paris"))["current"]["temperature"] == 7.5


async def test_a_forecast_of_nothing_is_no_answer(tool, standin):
    standin.forecast_lacks = ("current", "daily")
    with pytest.raises(WeatherUnavailableError, match="cannot be read"):
        await ask(tool, location="Paris")


@pytest.mark.parametrize(
    ("lacks", "gone"),
    [
        ("wind_speed_10m_max", "wind_speed"),
        ("weather_code", "description"),
        ("temperature_2m_max", "highest"),
        ("temperature_2m_min", "lowest"),
        ("precipitation_sum", "precipitation"),
        ("precipitation_probability_max", "precipitation_chance_percent"),
        ("sunrise", "sunrise"),
        ("sunset", "sunset"),
    ],
)
async def test_a_daily_value_that_is_not_told_is_left_out(tool, standin, lacks, gone):
    whole = (await ask(tool, location="Paris", days=2))["days"]
    standin.forecast_lacks = (f"daily.{lacks}",)
    days = (await ask(tool, location="Paris", days=3))["days"]
    assert [day.keys() for day in days] == [whole[0].keys() - {gone}] * 3


async def test_a_list_that_ends_before_its_days_leaves_the_last_ones_without(tool, standin):
    standin.forecast_has = {"daily.sunset": ["2026-11-22T17:01"], "daily.sunrise": None}
    first, second = (await ask(tool, location="Paris", days=2))["days"]
    assert first["sunset"] == "17:01"
    assert not {"sunset", "sunrise"} & second.keys()
    assert second["highest"] == 9.0


@pytest.mark.parametrize(("lacks", "gone"), [("daily", "days"), ("current", "current")])
async def test_without_the_days_or_without_the_present_the_other_is_told(tool, standin, lacks, gone):
    whole = await ask(tool, location="Paris", days=2)
    standin.forecast_lacks = (lacks,)
    answer = await ask(tool, location="Paris", days=3)
    assert answer.keys() == whole.keys() - {gone}


async def test_a_timezone_that_the_forecast_lacks_is_the_places_own(tool, standin):
    standin.forecast_lacks = ("timezone",)
    assert (await ask(tool, location="Paris"))["timezone"] == "Europe/Paris"


async def test_a_place_of_which_only_name_and_position_are_known_will_do(tool, standin):
    standin.places = ({"name": "Nowhere", "latitude": 1.0, "longitude": 2.0, "names": {}},)
    standin.forecast_lacks = ("timezone",)
    answer = await ask(tool, location="Nowhere")
    assert answer["location"] == "Nowhere"
    assert "timezone" not in answer


@pytest.mark.parametrize("wrong", [3, {"a": 1}, "2026", ["many"]])
async def test_something_that_is_no_list_of_numbers_is_no_answer(tool, standin, wrong):
    standin.forecast_has = {"daily.temperature_2m_max": wrong}
    with pytest.raises(WeatherUnavailableError, match="cannot be read"):
        await ask(tool, location="Paris")


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(drip=True, length=10)])
async def test_a_service_that_does_not_end_its_answer_is_not_waited_for(tool, standin, monkeypatch, reply):
    monkeypatch.setattr("assistant.src.services.weather.TIMEOUT", 0.05)
    standin.reply = reply
    with pytest.raises(WeatherUnavailableError, match="does not answer"):
        await ask(tool, location="Paris")


async def test_nobody_there():
    client = WeatherClient(forecast_url="http://127.0.0.1:1", geocoding_url="http://127.0.0.1:1")
    with pytest.raises(WeatherUnavailableError):
        await client.places("Paris", "en")
    await client.aclose()


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/search"])
async def test_an_address_may_hold_the_path_or_not(standin, suffix):
    client = WeatherClient(forecast_url="http://unused", geocoding_url=standin.url + suffix)
    assert len(await client.places("Paris", "en")) == 2
    assert [path for path, _ in standin.asked] == ["/v1/search"]
    await client.aclose()
