import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.errors import InvalidInputError
from assistant.src.tools.moments import offset_text
from assistant.src.tools.time_tool import TIME_SCHEMA, TimeTool
from assistant.tests.fakes import context_of
from service_kit.contracts.base import zone_names
from service_kit.testing.clock import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")


async def ask(arguments, *, now=datetime(2026, 11, 22, 12, 0, tzinfo=UTC), zone=BERLIN):
    tool = TimeTool()
    context = context_of(timezone=zone)
    object.__setattr__(context, "clock", FakeClock(now))
    return json.loads(await tool.execute(tool.check(arguments), context))


async def test_now_where_the_user_is():
    assert await ask({}) == {
        "date": "2026-11-22",
        "time": "13:00",
        "weekday": "Sunday",
        "timezone": "Europe/Berlin",
        "utc_offset": "+01:00",
    }


@pytest.mark.parametrize(
    ("name", "zone", "time"),
    [
        ("Asia/Tokyo", "Asia/Tokyo", "21:00"),
        ("Tokyo", "Asia/Tokyo", "21:00"),
        ("new york", "America/New_York", "07:00"),
        ("Asia/Kolkata", "Asia/Kolkata", "17:30"),
        ("UTC", "UTC", "12:00"),
    ],
)
async def test_now_elsewhere(name, zone, time):
    answer = await ask({"timezone": name})
    assert (answer["timezone"], answer["time"]) == (zone, time)


@pytest.mark.parametrize("name", ["Tokio", "Mars/Olympus", "../../etc/passwd", "Europe", "x" * 1000, "\0"])
async def test_an_unknown_zone_tells_how_to_write_one(name):
    with pytest.raises(InvalidInputError, match="not an IANA time zone"):
        await ask({"timezone": name})


async def test_a_slip_of_the_pen_gets_a_proposal():
    with pytest.raises(InvalidInputError, match="Asia/Tokyo"):
        await ask({"timezone": "Asia/Tokio"})


async def test_a_time_from_one_zone_in_another():
    answer = await ask({"time": "18:30", "timezone": "America/New_York"})
    assert (answer["time"], answer["date"]) == ("12:30", "2026-11-22")
    assert answer["from"]["timezone"] == "Europe/Berlin"
    back = await ask({"time": "2026-07-01T09:00", "from_timezone": "Asia/Tokyo"})
    assert (back["date"], back["time"]) == ("2026-07-01", "02:00")


async def test_times_that_a_clock_change_skips_or_repeats_are_noted():
    skipped = await ask({"time": "2026-03-29T02:30"})
    assert skipped["time"] == "03:30"
    assert "does not exist" in skipped["note"]
    twice = await ask({"time": "2026-10-25T02:30", "timezone": "UTC"})
    assert twice["time"] == "00:30"
    assert "comes twice" in twice["note"]


@pytest.mark.parametrize("time", ["25:00", "noon", "2026-13-01T00:00", "0001-01-01T00:00"])
async def test_an_unreadable_time_is_explained(time):
    with pytest.raises(InvalidInputError):
        await ask({"time": time, "from_timezone": "Asia/Tokyo", "timezone": "America/New_York"})


async def test_a_time_after_the_last_one_is_explained():
    with pytest.raises(InvalidInputError, match="out of the calendar's range"):
        await ask({"time": "9999-12-31T23:59", "from_timezone": "America/New_York"})


@given(
    st.integers(315_532_800, 2_082_758_400),
    # a name without a slash may be a country: Portugal has three zones, and the model is asked which
    st.sampled_from(sorted(name for name in zone_names() if "/" in name)),
)
async def test_what_it_says_is_the_moment_it_was_asked_for(second, zone):
    now = datetime.fromtimestamp(second, UTC)
    answer = await ask({"timezone": zone}, now=now)
    offset = datetime.fromisoformat(f"2000-01-01T00:00{answer['utc_offset']}").tzinfo
    said = datetime.fromisoformat(f"{answer['date']}T{answer['time']}").replace(tzinfo=offset)
    assert abs(said - now) < timedelta(minutes=2)  # offsets of old times have seconds
    assert answer["weekday"] == f"{said:%A}"


def test_offsets():
    assert offset_text(datetime(2026, 1, 1, tzinfo=ZoneInfo("America/St_Johns"))) == "-03:30"


@pytest.mark.parametrize(("name", "zone"), [("EST", "America/New_York"), ("UTC+5:45", "Asia/Kathmandu")])
async def test_a_zone_as_people_write_it_is_understood(name, zone):
    assert (await ask({"timezone": name}))["timezone"] == zone


async def test_an_abbreviation_of_several_zones_names_them_all():
    with pytest.raises(InvalidInputError, match="Asia/Kolkata or Europe/Dublin or Asia/Jerusalem"):
        await ask({"timezone": "IST"})


def test_the_schema_is_what_models_expect():
    assert TIME_SCHEMA["type"] == "object"
