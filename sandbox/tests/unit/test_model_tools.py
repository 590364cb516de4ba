"""The scripted model with the suite's own weather and reminder tools, in both languages."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model.conversation import Message, Reply, Tool, ToolCall
from sandbox.model.dates import cron_in_words
from sandbox.model.scripted import answer

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
_REMINDER = {
    "action": {"type": "string", "enum": ["create", "list", "change", "cancel"]},
    "text": {"type": "string"},
    "at": {"type": "string"},
    "in_minutes": {"type": "integer"},
    "cron": {"type": "string"},
    "timezone": {"type": "string"},
    "id": {"type": "integer"},
}
_WEATHER = {
    "location": {"type": "string"},
    "days": {"type": "integer"},
    "units": {"type": "string", "enum": ["metric", "imperial"]},
}
REMINDERS = Tool(
    "reminders", "Reminders.", {"type": "object", "properties": _REMINDER, "required": ["action"]}
)
WEATHER = Tool(
    "get_weather", "Weather.", {"type": "object", "properties": _WEATHER, "required": ["location"]}
)
TOOLS = (REMINDERS, WEATHER)


def strict(tool: Tool) -> Tool:
    """As a provider's strict mode wants it: everything required, null for what is not given."""
    needed = tool.parameters["required"]
    properties = {
        name: part if name in needed else _nullable(part)
        for name, part in tool.parameters["properties"].items()
    }
    return Tool(tool.name, "", {"type": "object", "properties": properties, "required": list(properties)})


def _nullable(part: Any) -> Any:
    choices = {"enum": [*part["enum"], None]} if "enum" in part else {}
    return part | {"type": [part["type"], "null"]} | choices


def said(text: str, zone: str | None = "Europe/Berlin") -> list[Message]:
    local = NOW.astimezone(ZoneInfo(zone or "UTC"))
    told = f"{zone} (UTC+01:00)" if zone else "UTC (the user has not told theirs yet)"
    block = f"<context>\nnow: {local:%Y-%m-%d %H:%M}, {local:%A}\ntimezone: {told}\n</context>"
    return [Message("user", (f"{block}\n\n{text}",))]


def ask(text: str, zone: str | None = "Europe/Berlin", tools: tuple[Tool, ...] = TOOLS) -> Reply:
    return answer(said(text, zone), tools, NOW)


def arguments(text: str, zone: str | None = "Europe/Berlin") -> Any:
    [call] = ask(text, zone).calls
    return call.arguments


def after(text: str, *results: Any, tools: tuple[Tool, ...] = TOOLS) -> Reply:
    """The reply once the calls that `text` leads to have been answered."""
    calls = ask(text, tools=tools).calls
    made = tuple(ToolCall(f"c{n}", call.name, json.dumps(call.arguments)) for n, call in enumerate(calls))
    answers = [
        Message("tool", (json.dumps(result, ensure_ascii=False),), tool_call_id=f"c{n}")
        for n, result in enumerate(results)
    ]
    return answer([*said(text), Message("assistant", (), made), *answers], tools, NOW)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("Remind me in 2 hours to call Bob", {"text": "call Bob", "in_minutes": 120}),
        ("Напомни через 5 минут выключить чайник", {"text": "выключить чайник", "in_minutes": 5}),
        ("Remind me tomorrow at 9 to call mom", {"text": "call mom", "at": "2026-11-23T09:00:00"}),
        ("Напомни завтра в 9 позвонить маме", {"text": "позвонить маме", "at": "2026-11-23T09:00:00"}),
        ("Remind me every weekday at 9 to stand up", {"text": "stand up", "cron": "0 9 * * 1-5"}),
        ("Напоминай каждый день в 8 пить воду", {"text": "пить воду", "cron": "0 8 * * *"}),
    ],
)
def test_a_reminder_has_its_time_in_one_form(wish: str, expected: Any):
    assert arguments(wish) == {"action": "create", **expected}


def test_a_strict_schema_gets_null_for_what_is_not_given():
    [call] = ask("Remind me in 2 hours to call Bob", tools=(strict(REMINDERS),)).calls
    given = {"action": "create", "text": "call Bob", "in_minutes": 120}
    assert call.arguments == {**dict.fromkeys(_REMINDER), **given}
    [call] = ask("What is the weather in Paris?", tools=(strict(WEATHER),)).calls
    assert call.arguments == {"location": "Paris", "days": None, "units": None}


def test_a_clock_time_needs_a_zone_or_a_city():
    assert "/timezone" in ask("Remind me tomorrow at 9 to call mom", zone=None).text
    assert "часового пояса" in ask("Напомни завтра в 9 позвонить", zone=None).text
    assert arguments("Remind me tomorrow at 9 in Tokyo to call mom", zone=None) == {
        "action": "create",
        "text": "call mom",
        "at": "2026-11-23T09:00:00",
        "timezone": "Asia/Tokyo",
    }
    assert arguments("Remind me in 10 minutes to eat", zone=None)["in_minutes"] == 10
    assert "timezone" not in arguments("Remind me tomorrow at 9 to fly to Tokyo")


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("Show my reminders", {"action": "list"}),
        ("Cancel reminder 3", {"action": "cancel", "id": 3}),
        ("Отмени напоминание №3", {"action": "cancel", "id": 3}),
        ("Move reminder 3 to 18:30", {"action": "change", "id": 3, "at": "2026-11-22T18:30:00"}),
        (
            "Перенеси напоминание 3 на завтра в 10",
            {"action": "change", "id": 3, "at": "2026-11-23T10:00:00"},
        ),
        ("Cancel my tea reminder", {"action": "list"}),
        ("Delete all my reminders", {"action": "list"}),
    ],
)
def test_reminders_are_listed_changed_and_cancelled(wish: str, expected: Any):
    assert arguments(wish) == expected


NEXT = {"date": "2026-11-22", "time": "10:40", "weekday": "Sunday", "timezone": "Europe/Berlin"}
TEA = {"id": 3, "text": "drink tea", "next": NEXT}
RUN = {"id": 4, "text": "бегать", "next": {**NEXT, "date": "2026-11-23"}, "cron": "40 10 * * 1-5"}


def test_after_the_list_the_meant_one_is_cancelled():
    [call] = after("Cancel my tea reminder", {"reminders": [TEA, RUN]}).calls
    assert call.arguments == {"action": "cancel", "id": 3}
    both = after("Delete all my reminders", {"reminders": [TEA, RUN]}).calls
    assert [call.arguments["id"] for call in both] == [3, 4]
    unclear = after("Cancel my coffee reminder", {"reminders": [TEA, RUN]})
    assert unclear.text.startswith("Which one do you mean? Your reminders:")
    assert after("Delete all my reminders", {"reminders": []}).text == "You have no reminders."


def test_reminders_in_sentences():
    assert after("Show my reminders", {"reminders": [TEA, RUN]}).text == (
        "Your reminders:\n\n- №3: drink tea, **today at 10:40**\n"
        "- №4: бегать, **every weekday at 10:40** (next: tomorrow at 10:40)"
    )
    assert after("Покажи мои напоминания", {"reminders": [RUN]}).text == (
        "Ваши напоминания:\n\n- №4: бегать, **по будням в 10:40** (ближайшее: завтра в 10:40)"
    )


def test_confirmations_say_what_the_tool_said():
    wish = "Remind me in 10 minutes to drink tea"
    assert after(wish, {"status": "created", "reminder": TEA}).text == (
        "I will remind you **today at 10:40**: drink tea."
    )
    kept = {"status": "created", "reminder": TEA, "note": "Europe/Berlin is kept as the user's time zone; …"}
    assert after(wish, kept).text.endswith(
        "From now on your time zone is Europe/Berlin; /timezone changes it."
    )
    assert after("Отмени напоминание 3", {"status": "cancelled", "reminder": TEA}).text == (
        "Отменено: drink tea."
    )
    refused = {"error": {"type": "invalid_input", "message": "there is no reminder 3"}}
    assert after("Cancel reminder 3", refused).text == "That did not work: there is no reminder 3"


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * *", "every day at 09:00"),
        ("30 8 * * 0,6", "every Sunday, Saturday at 08:30"),
        ("0 * * * *", "every hour"),
        ("*/5 * 1 * *", "`*/5 * 1 * *`"),
    ],
)
def test_patterns_in_words(cron: str, words: str):
    assert cron_in_words(cron, russian=False) == words


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What's the weather?", {"location": "Berlin"}),
        ("Какая погода завтра в Москве?", {"location": "Moscow", "days": 2}),
        ("Weather in Rome this week", {"location": "Rome", "days": 7}),
        ("Прогноз на 3 дня в Питере", {"location": "Saint Petersburg", "days": 3}),
        ("Weather in Oslo on the weekend", {"location": "Oslo", "days": 1}),
        ("Weather in Paris, Texas", {"location": "Paris, Texas"}),
        ("Weather in Springfield", {"location": "Springfield"}),
        ("Погода в Tambov", {"location": "Tambov"}),
    ],
)
def test_weather_is_asked_for_place_and_days(question: str, expected: Any):
    assert arguments(question) == expected


def test_without_a_zone_the_city_is_asked_for():
    assert "which city" in ask("What's the weather?", zone=None).text


def day(number: int, chance: float) -> Any:
    return {
        "date": f"2026-11-{number}",
        "description": "rain",
        "lowest": -2.5,
        "highest": 7,
        "precipitation_chance_percent": chance,
    }


def forecast(place: str, *days: Any) -> Any:
    return {
        "location": place,
        "units": {"temperature": "°C", "wind": "km/h", "precipitation": "mm"},
        "current": {"temperature": 6.8, "feels_like": 3, "wind_speed": 14, "wind_from": "SW"},
        "days": list(days),
        "attribution": "Weather data by Open-Meteo.com",
    }


def test_the_weather_in_sentences():
    told = after("What is the weather in Paris?", forecast("Paris, France", day(22, 20), day(23, 90))).text
    assert told == (
        "**Paris, France**: now **6.8 °C**, feels like 3 °C, wind 14 km/h from the SW.\n\n"
        "- today: **−2.5 to 7 °C**, rain, chance of precipitation 20 %.\n\n_Weather data by Open-Meteo.com_"
    )
    told = after("Какая погода в Париже?", forecast("Париж", day(22, 20))).text
    assert "сейчас **6,8 °C**, ощущается как 3 °C, ветер юго-западный 14 км/ч." in told
    assert "- сегодня: **от −2,5 до 7 °C**" in told


def test_an_english_forecast_is_told_in_russian():
    told = after("Какая погода в Париже?", forecast("Paris, Île-de-France, France", day(22, 20))).text
    assert told.startswith("**Париж**: сейчас")
    assert "°C**, дождь, вероятность" in told


def test_one_day_and_a_verdict():
    tomorrow = (day(22, 20), day(23, 90))
    told = after("Will it rain in London tomorrow?", forecast("London", *tomorrow)).text
    assert told.startswith("Probably yes. **London**, tomorrow: **−2.5 to 7 °C**")
    assert "today" not in told
    both = after(
        "Weather tomorrow in London and Rome", forecast("London", *tomorrow), forecast("Rome", *tomorrow)
    )
    assert both.text.count("Open-Meteo.com") == 1


def test_a_place_that_nobody_knows():
    refused = {"error": {"type": "invalid_input", "message": "no place called 'Springfield' was found"}}
    assert "no place called “Springfield”" in after("Weather in Springfield", refused).text


def test_help_names_what_is_connected():
    assert "Remind me in 10 minutes" in ask("help").text
    assert "погода в Париже" in ask("помощь").text
    assert "Remind me" not in ask("help", tools=()).text


WORDS = """reminders reminder status id text next date time timezone cron note error message location units
days current temperature wind_speed wind_from lowest highest precipitation_chance_percent description
attribution other_places not_shown"""
FIELDS = st.sampled_from(WORDS.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["created", "2026-11-22", "10:40", "Europe/Berlin", "Mars/Base", "0 9 * * 1-5", "°C", ""]
    ),
    st.text(max_size=5),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=12,
)
REQUESTS = (
    "Show my reminders",
    "Cancel reminder 3",
    "Cancel my tea reminder",
    "Remind me in 10 minutes to eat",
    "Will it rain in Paris tomorrow?",
    "Погода в Париже на 3 дня",
)


@given(st.sampled_from(REQUESTS), st.dictionaries(FIELDS, JSON, max_size=6))
def test_whatever_a_tool_answers_it_has_an_answer(request_text: str, result: Any):
    reply = after(request_text, result)
    assert bool(reply.calls) != bool(reply.text.strip())
