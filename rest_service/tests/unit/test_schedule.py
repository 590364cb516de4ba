from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_service.app.schedule import next_firing, problem

START = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "expression",
    [
        "0 9 * * 1-5",
        "*/15 * * * *",
        "0 0 1 jan *",
        "0 9 * * SUN",
        "0 9 * * 0",
        "0 9 * * 7",
        "0 0 29 2 *",
        "0 0 13 * 5",
    ],
)
def test_standard_expressions_are_right(expression):
    assert problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 9 * *", "five fields"),
        ("0 0 9 * * 1", "five fields"),
        ("@daily", "Macros"),
        ("61 9 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 9 0 * *", "day of month"),
        ("0 9 * 13 *", "month"),
        ("0 9 * * 8", "weekday"),
        ("0 9 * * mo", "weekday"),
        ("0 9 5-1 * *", "day of month"),
        ("0/0 9 * * *", "minute"),
        ("0 9 31 2 *", "never"),
        ("0 9 30 feb *", "never"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_reason(expression, reason):
    assert reason in (problem(expression) or "")


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text):
    problem(text)


def test_a_job_fires_in_its_own_zone():
    after = datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert next_firing("0 9 * * *", "Asia/Tokyo", after) == datetime(2026, 1, 11, 0, tzinfo=UTC)


def test_a_skipped_time_fires_at_the_end_of_the_gap():
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    fires = next_firing("30 2 * * *", "Europe/Berlin", before)
    assert fires == datetime(2026, 3, 29, 3, tzinfo=BERLIN).astimezone(UTC)


def test_a_time_that_comes_twice_fires_at_its_first_coming_only():
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = next_firing("30 2 * * *", "Europe/Berlin", before)
    assert first is not None
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_firing("30 2 * * *", "Europe/Berlin", first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
    ),
    after=st.integers(0, 2 * 365 * 86_400).map(lambda seconds: START + timedelta(seconds=seconds)),
)
def test_a_daily_job_fires_once_a_day(minute, hour, zone, after):
    """Clock changes included: later than `after`, within a day and the change, on the next local day."""
    first = next_firing(f"{minute} {hour} * * *", zone, after)
    assert first is not None
    second = next_firing(f"{minute} {hour} * * *", zone, first)
    assert second is not None
    assert after < first <= after + timedelta(hours=26)
    days = [time.astimezone(ZoneInfo(zone)).date() for time in (first, second)]
    assert days[1] - days[0] == timedelta(days=1)
