"""The scripted model in both languages."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox.model.cities import find_cities
from sandbox.model.conversation import Call, Message, Reply, Tool, ToolCall
from sandbox.model.dates import read_when, without_when
from sandbox.model.scripted import answer

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CLOCK = Tool(
    "current_time",
    "Current date, time and weekday in a time zone; converts a time from one zone to another.",
    {
        "type": "object",
        "properties": {
            "timezone": {"type": "string"},
            "time": {"type": "string"},
            "from_timezone": {"type": "string"},
        },
    },
)
PLANNER = Tool(
    "ask_planner",
    "Plans: trips, weeks, projects.",
    {"type": "object", "properties": {"request": {"type": "string"}}, "required": ["request"]},
)
REMINDER = Tool(
    "reminder",
    "Creates, lists and cancels reminders.",
    {
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["create", "list", "cancel"]},
            "text": {"type": "string"},
            "run_at": {"type": "string"},
            "cron_expression": {"type": "string"},
        },
        "required": ["action"],
    },
)
WEATHER = Tool(
    "weather", "Weather of a city.", {"type": "object", "properties": {"city": {"type": "string"}}}
)
CALENDAR_CREATE = Tool(
    "calendar_create",
    "Adds an event.",
    {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "start_time": {"type": "string"},
            "end_time": {"type": "string"},
        },
        "required": ["title", "start_time", "end_time"],
    },
)
ALL = (CLOCK, PLANNER, REMINDER, WEATHER, CALENDAR_CREATE)


def context(text: str, zone: str = "Europe/Berlin", user: str | None = "Ada", language: str = "en") -> str:
    """The block that the assistant puts before a message."""
    local = NOW.astimezone(ZoneInfo(zone))
    lines = [f"now: {local:%Y-%m-%d %H:%M}, {local:%A}", f"timezone: {zone} (UTC+01:00)"]
    lines += [f"user: {user}"] if user else []
    lines += [f"language: {language}"]
    return "<context>\n" + "\n".join(lines) + f"\n</context>\n\n{text}"


def ask(
    text: str, tools: tuple[Tool, ...] = ALL, system: str = "You help.", earlier: tuple[str, ...] = ()
) -> Reply:
    said = [Message("user", (words,)) for words in (*earlier, text)]
    return answer([Message("system", (system,)), *said], tools, NOW)


def after(text: str, *results: tuple[str, dict[str, str], str]) -> str:
    """The answer once the tools have answered."""
    calls = tuple(ToolCall(f"c{n}", name, json.dumps(args)) for n, (name, args, _r) in enumerate(results))
    answers = [Message("tool", (result,), tool_call_id=f"c{n}") for n, (_n, _a, result) in enumerate(results)]
    return answer([Message("user", (text,)), Message("assistant", (), calls), *answers], ALL, NOW).text


def time_result(zone: str) -> str:
    local = NOW.astimezone(ZoneInfo(zone))
    offset = f"{local:%z}"
    return json.dumps(
        {
            "date": f"{local:%Y-%m-%d}",
            "time": f"{local:%H:%M}",
            "weekday": f"{local:%A}",
            "timezone": zone,
            "utc_offset": f"{offset[:3]}:{offset[3:]}",
        }
    )


@pytest.mark.parametrize(
    ("question", "zones"),
    [
        ("What time is it in Tokyo?", ["Asia/Tokyo"]),
        ("what's the time in new york", ["America/New_York"]),
        ("Time in Tokyo and London please", ["Asia/Tokyo", "Europe/London"]),
        ("What is the current time in Kathmandu?", ["Asia/Kathmandu"]),
        ("What time is it in America/Bogota", ["America/Bogota"]),
        ("Который час в Токио?", ["Asia/Tokyo"]),
        ("Который сейчас час во Владивостоке?", ["Asia/Vladivostok"]),
        ("Сколько времени в Нью-Йорке?", ["America/New_York"]),
        ("Сколько сейчас времени в Москве и в Риме?", ["Europe/Moscow", "Europe/Rome"]),
        ("Какое время в Питере?", ["Europe/Moscow"]),
    ],
)
def test_time_questions_call_the_clock_with_zones(question: str, zones: list[str]):
    assert ask(question).calls == tuple(Call("current_time", {"timezone": zone}) for zone in zones)


@pytest.mark.parametrize(
    "question", ["What time is it?", "Который час?", "What day is it today?", "Какое сегодня число?"]
)
def test_without_a_place_the_users_zone_is_asked_for(question: str):
    assert ask(context(question)).calls == (Call("current_time", {"timezone": "Europe/Berlin"}),)


def test_a_conversion_names_both_zones():
    assert ask("When it is 9:05 in Berlin, what time is it in Tokyo?").calls == (
        Call("current_time", {"timezone": "Asia/Tokyo", "time": "09:05", "from_timezone": "Europe/Berlin"}),
    )


def test_an_unknown_place_is_said_plainly():
    reply = ask("What time is it in Springfield?")
    assert not reply.calls
    assert "Springfield" in reply.text


def test_without_a_clock_the_context_tells_the_time():
    assert "**18:30**" in ask(context("What time is it in Tokyo?"), tools=()).text
    assert "no clock" in ask("What time is it?", tools=()).text.lower()


def test_the_clocks_answer_becomes_a_sentence():
    tokyo = ("current_time", {"timezone": "Asia/Tokyo"}, time_result("Asia/Tokyo"))
    assert after("What time is it in Tokyo?", tokyo) == (
        "In Tokyo it is **18:30** on Sunday, 22 November 2026 (Asia/Tokyo, UTC+09:00)."
    )
    assert after("Который час в Токио?", tokyo) == (
        "В Токио сейчас **18:30**, воскресенье, 22 ноября 2026 года (Asia/Tokyo, UTC+09:00)."
    )


def test_parallel_answers_are_all_told():
    told = after(
        "What time is it in Tokyo and London?",
        ("current_time", {"timezone": "Asia/Tokyo"}, time_result("Asia/Tokyo")),
        ("current_time", {"timezone": "Europe/London"}, time_result("Europe/London")),
    )
    assert "In Tokyo it is **18:30**" in told
    assert "In London it is **09:30**" in told


@pytest.mark.parametrize(
    "result",
    [
        "2026-11-22 18:30, Sunday",
        '{"local_time": "2026-11-22T18:30:00+09:00"}',
        "date: 2026-11-22\ntime: 18:30",
    ],
)
def test_other_shapes_of_a_clocks_answer(result: str):
    assert "18:30" in after("What time is it in Tokyo?", ("clock", {}, result))


@pytest.mark.parametrize(
    "result",
    ["Error: unknown zone", '{"error": "unknown zone"}', '{"status":"error","message":"unknown zone"}'],
)
def test_a_failed_tool_is_told(result: str):
    assert after("What time is it in Tokyo?", ("current_time", {}, result)).startswith("That did not work")
    assert "unknown zone" in after("What time is it in Tokyo?", ("current_time", {}, result))


@pytest.mark.parametrize(
    ("request_text", "handed_over"),
    [
        ("Plan my week", "Plan my week"),
        ("Help me plan a trip to Rome", "Help me plan a trip to Rome"),
        ("Спланируй поездку в Рим", "Спланируй поездку в Рим"),
        ("Помоги спланировать день", "Помоги спланировать день"),
        ("Ask the planner to organise my birthday", "organise my birthday"),
        ("Спроси планировщика: как выучить испанский", "как выучить испанский"),
    ],
)
def test_plans_are_delegated(request_text: str, handed_over: str):
    assert ask(request_text).calls == (Call("ask_planner", {"request": handed_over}),)


def test_the_sub_assistants_answer_is_relayed():
    plan = "1. Book\n2. Pack"
    assert plan in after("Plan a trip", ("ask_planner", {"request": "Plan a trip"}, plan))
    assert plan in after("Спланируй поездку", ("ask_planner", {}, json.dumps({"answer": plan})))


def test_without_a_planner_it_says_so():
    assert "Planner" in ask("Plan my week", tools=(CLOCK,)).text


@pytest.mark.parametrize(
    "system",
    [
        "You are the Planner. You make plans.",
        "You are a planning assistant.",
        "You are the Planner: you turn a goal into a plan.",
        "Ты — планировщик.",
    ],
)
def test_as_the_planner_it_writes_numbered_steps(system: str):
    for request in ("Plan my week", "Спланируй поездку в Рим", "anything else"):
        text = ask(request, tools=(), system=system).text
        assert re.search(r"^1\. .+\n2\. ", text, re.MULTILINE), text


def test_a_secretary_with_a_planner_is_not_the_planner():
    system = "You are the personal secretary of the user.\n- Hand planning to your planner: ask it."
    assert ask("Plan my week", system=system).calls[0].name == "ask_planner"


@pytest.mark.parametrize(
    ("request_text", "at", "text"),
    [
        ("Remind me in 10 minutes to drink tea", "2026-11-22T10:40:00+01:00", "drink tea"),
        ("Напомни через 10 минут выпить чаю", "2026-11-22T10:40:00+01:00", "выпить чаю"),
        ("Remind me tomorrow at 9 to call mom", "2026-11-23T09:00:00+01:00", "call mom"),
        ("Напомни мне завтра в 9:30 позвонить маме", "2026-11-23T09:30:00+01:00", "позвонить маме"),
        ("Remind me at 6 pm to go home", "2026-11-22T18:00:00+01:00", "go home"),
        ("Напомни через час проверить почту", "2026-11-22T11:30:00+01:00", "проверить почту"),
    ],
)
def test_reminders(request_text: str, at: str, text: str):
    expected = {"action": "create", "text": text, "run_at": at}
    assert ask(context(request_text)).calls == (Call("reminder", expected),)


@pytest.mark.parametrize(
    ("request_text", "cron"),
    [
        ("Remind me every day at 9 to take vitamins", "0 9 * * *"),
        ("Напоминай каждый день в 9 пить витамины", "0 9 * * *"),
        ("Remind me every weekday at 8:30 to stretch", "30 8 * * 1-5"),
        ("Remind me every sunday at 10 to water the plants", "0 10 * * 0"),
    ],
)
def test_recurring_reminders(request_text: str, cron: str):
    assert ask(context(request_text)).calls[0].arguments["cron_expression"] == cron


def test_reminders_are_listed():
    assert ask("Show my reminders").calls == (Call("reminder", {"action": "list"}),)


@pytest.mark.parametrize(
    "request_text",
    ["Remind me in 5 minutes to eat", "What is the weather in Paris?", "What's on my calendar?"],
)
def test_a_tool_that_is_not_connected_is_named(request_text: str):
    assert re.search(r"connected to me", ask(request_text, tools=(CLOCK, PLANNER)).text)


def test_weather_and_calendar():
    assert ask("Какая погода в Париже?").calls == (Call("weather", {"city": "Paris"}),)
    told = after(
        "Weather in Paris?",
        ("weather", {"city": "Paris"}, '{"city":"Paris","temperature":7.5,"description":"rain"}'),
    )
    assert told == "Paris: **7.5 °C**, rain."
    created = ask(context("Schedule a meeting with Bob tomorrow at 15:00")).calls[0]
    assert created.arguments == {
        "title": "meeting with Bob",
        "start_time": "2026-11-23T15:00:00+01:00",
        "end_time": "2026-11-23T16:00:00+01:00",
    }


@pytest.mark.parametrize(
    "question", ["What's on my calendar tomorrow?", "Хай, что у меня запланировано в календаре"]
)
def test_looking_at_the_calendar_never_writes_into_it(question: str):
    reading = Tool(
        "calendar_list", "Lists events.", {"type": "object", "properties": {"date_from": {"type": "string"}}}
    )
    assert [call.name for call in ask(question, (CALENDAR_CREATE, reading)).calls] == ["calendar_list"]
    assert (
        "calendar" in ask(question, (CALENDAR_CREATE,)).text
        or "календар" in ask(question, (CALENDAR_CREATE,)).text
    )
    assert ask("Show my reminders", (Tool("reminder_create"),)).calls == ()


def test_names_are_remembered_within_the_conversation():
    assert "**Ada**" in ask("What is my name?", earlier=("My name is Ada",)).text
    assert "**Ада**" in ask("Как меня зовут?", earlier=("Меня зовут Ада", "Привет")).text
    assert "have not told" in ask("What is my name?").text
    assert "**Ada**" in ask(context("What is my name?")).text


@pytest.mark.parametrize(
    ("said", "echoed"),
    [("repeat: a  b", "a  b"), ("Повтори: да", "да"), ("say hello", "hello"), ("скажи привет", "привет")],
)
def test_echo(said: str, echoed: str):
    assert ask(said).text == echoed


@pytest.mark.parametrize("size", [4000, 30_000])
def test_an_echo_is_whole(size: int):
    assert ask("repeat: " + "x" * size).text == "x" * size


def test_markdown_show():
    for request in ("Show me markdown", "Покажи разметку"):
        text = ask(request).text
        for part in ("**", "*", "```python", "](https://", "\n> ", "1. "):
            assert part in text


@pytest.mark.parametrize(
    ("hello", "russian"),
    [
        ("Hello", False),
        ("Привет", True),
        ("thanks!", False),
        ("Спасибо", True),
        ("help", False),
        ("Кто ты?", True),
        ("фыва олдж", True),
        ("qwertz", False),
    ],
)
def test_it_answers_in_the_language_of_the_request(hello: str, russian: bool):
    letters = re.findall(r"[а-яё]", ask(hello).text, re.IGNORECASE)
    assert (len(letters) > 5) == russian


def test_what_it_does_not_understand_is_said_with_the_way_out():
    text = ask("Write a poem about entropy").text
    assert "demonstration model" in text
    assert "OPENAI_API_KEY" in text


def test_a_changed_instruction_shows_in_the_next_answer():
    assert "I am Jeeves" in ask("Who are you?", system="You are Jeeves, a butler.").text
    assert ask("Hello", system='Begin every answer with "Ahoy!"').text.startswith("Ahoy! ")
    assert ask("Привет", system="Заканчивай каждый ответ словами «Честь имею.»").text.endswith(
        "\nЧесть имею."
    )


@pytest.mark.parametrize(
    "wrapped",
    [
        "<context>\nname: Ada\n</context>\n\nrepeat: me",
        "[context: name=Ada]\nrepeat: me",
        "  <now>2026-11-22T10:00:00Z</now> repeat: me",
    ],
)
def test_the_users_words_are_found_behind_a_context_block(wrapped: str):
    assert ask(wrapped).text == "me"


def test_context_in_a_part_or_message_of_its_own():
    block = "<context>\nname: Ada\ntimezone: Asia/Tokyo\n</context>"
    parts = answer([Message("user", (block, "What time is it?"))], ALL, NOW)
    alone = answer([Message("user", ("What time is it?",)), Message("user", (block,))], ALL, NOW)
    assert parts.calls == alone.calls == (Call("current_time", {"timezone": "Asia/Tokyo"}),)


WORDS = """what time is it in Tokyo plan my week remind me tomorrow at 25:99 every day через 9999 недель
в 9 который час в погода my name is repeat: say <context> </context> now: 2026-13-45T99:99 timezone:
Mars/Base [context ] {"error":"""
words = st.sampled_from(WORDS.split())
texts = st.one_of(st.text(max_size=200), st.lists(words, max_size=25).map(" ".join))
properties = [
    {"type": "string"},
    {"type": "integer"},
    {"enum": ["create", 1, None]},
    {"enum": []},
    {},
    True,
    {"type": ["string", "null"]},
]
schemas = st.dictionaries(
    st.sampled_from(["timezone", "action", "text", "run_at", "minutes", "x"]),
    st.sampled_from(properties),
    max_size=4,
).map(lambda chosen: {"type": "object", "properties": chosen, "required": list(chosen)})
names = st.sampled_from(["current_time", "ask_planner", "reminder", "weather", "calendar_list"])
tools = st.lists(st.builds(Tool, names, st.text(max_size=9), schemas), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=4), texts, texts, tools)
@example([], "remind me in 9999 weeks to rest", "", [REMINDER])
def test_it_never_raises_and_always_answers(said: list[str], system: str, result: str, offered: list[Tool]):
    messages = [Message("system", (system,)), *(Message("user", (text,)) for text in said)]
    reply = answer(messages, offered, NOW)
    assert bool(reply.calls) != bool(reply.text.strip())
    assert {call.name for call in reply.calls} <= {tool.name for tool in offered}
    json.dumps([call.arguments for call in reply.calls])
    calls = tuple(
        ToolCall(str(n), call.name, json.dumps(call.arguments)) for n, call in enumerate(reply.calls)
    )
    if calls:
        answers = [Message("tool", (result,), tool_call_id=call.id) for call in calls]
        assert answer([*messages, Message("assistant", (), calls), *answers], offered, NOW).text.strip()


@pytest.mark.parametrize("piece", ["my ", "<context>", "who ", "remind me in ", "час в ", "plan ", "[now "])
def test_long_requests_are_read_in_no_time(piece: str):
    started = process_time()  # of the processor: what else the machine does is no matter
    ask(piece * (32_000 // len(piece)))
    assert process_time() - started < 1.0


@given(st.integers(-10_000, 10_000))
def test_named_times_are_in_the_future_of_any_now(minutes: int):
    now = datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=3))) + timedelta(minutes=minutes)
    for text in ("at 9", "в 23:59", "tomorrow at 0:00", "in 5 minutes", "on monday at 10"):
        when = read_when(text, now)
        assert when is not None
        assert when.at is not None
        assert when.at > now


def test_what_a_reminder_is_about():
    assert without_when("drink tea in 10 minutes") == "drink tea"
    assert without_when("завтра в 9 позвонить маме") == "позвонить маме"


def test_cities_keep_their_order_and_their_names():
    assert [city.english for city in find_cities("Boston, Paris and Токио")] == ["Boston", "Paris", "Tokyo"]
    assert find_cities("в вене и в Риге")[0].russian_in == "в Вене"
    assert find_cities("nothing here, Roman times and римский") == ()


def test_notes_keep_what_the_person_said():
    keeper = Message("system", ("You keep the notes of an assistant on its conversation with one person.",))
    material = {
        "notes": "- my name is Ada",
        "conversation": [
            {"person": "<context>\nnow: 2026-11-20 09:00\n</context>\n\nRemind me to\nwater the plants"},
            {"assistant": "", "called": "reminders({})"},
            {"tool_result": "done"},
            {"assistant": "Done."},
        ],
    }
    reply = answer([keeper, Message("user", (json.dumps(material),))], [REMINDER], NOW)
    assert reply == Reply(text="- my name is Ada\n- Remind me to water the plants")
    assert answer([keeper, Message("user", ("{}",))], [], NOW).text == "Nothing worth a note."
