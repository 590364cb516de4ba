from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service_kit.schedule import Schedule, problem

SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


CHANGES = {  # zone: moments around which its clocks change
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],  # by half an hour
    "Africa/Cairo": ["2026-04-23T22:00", "2026-10-29T21:00"],  # at midnight
    "America/Havana": ["2026-03-08T05:00", "2026-11-01T05:00"],
    "Asia/Kolkata": ["2026-05-01T00:00"],
    "UTC": ["2026-05-01T00:00"],
}


def next_firing(expression: str, zone: str, after: datetime) -> datetime | None:
    return Schedule(expression, ZoneInfo(zone)).after(after)


def firings(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found = []
    following = schedule.at_or_after(start)
    while following is not None and following <= end:
        found.append(following)
        following = schedule.after(following)
    return found


def values(field: str, low: int, high: int) -> set[int]:
    if field.startswith("*"):
        return set(range(low, high + 1)[:: int(field[2:] or 1)])
    return {int(value) for value in field.split(",")}


def by_definition(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The policy, minute by minute."""
    minute, hour, _, _, weekday = expression.split()
    minutes, hours, weekdays = values(minute, 0, 59), values(hour, 0, 23), values(weekday, 0, 6)

    def matches(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours and wall.isoweekday() % 7 in weekdays

    def exists(wall: datetime) -> bool:
        there = wall.replace(tzinfo=zone).astimezone(UTC)
        return there.astimezone(zone).replace(tzinfo=None) == wall

    found = set()
    if minute.startswith("*") or hour.startswith("*"):
        moment = start
        while moment <= end:
            if matches(moment.astimezone(zone)):
                found.add(moment)
            moment += MINUTE
        return sorted(found)
    wall = (start - timedelta(days=1)).astimezone(zone).replace(tzinfo=None)
    while wall <= (end + timedelta(days=1)).astimezone(zone).replace(tzinfo=None):
        if matches(wall):
            valid = wall
            while not exists(valid):
                valid += MINUTE
            found.add(valid.replace(tzinfo=zone, fold=0).astimezone(UTC))
        wall += MINUTE
    return sorted(moment for moment in found if start <= moment <= end)


@settings(max_examples=60, deadline=None)
@given(
    place=st.sampled_from([(zone, moment) for zone, moments in CHANGES.items() for moment in moments]),
    before=st.integers(0, 1800),
    minute=st.sampled_from(["0", "30", "59", "0,30", "*/1", "*/15", "*/20"]),
    hour=st.sampled_from(["*/1", "*/2", "0", "1", "2", "3", "0,1", "1,2,3", "23"]),
    weekday=st.sampled_from(["*/1", "*/1", "0", "5", "6"]),
)
@example(("Australia/Lord_Howe", "2026-04-04T15:00"), 600, "*/15", "0,1", "*/1")
@example(("Africa/Cairo", "2026-04-23T22:00"), 600, "*/20", "0", "5")
def test_fires_exactly_when_the_policy_says(place, before, minute, hour, weekday):
    zone, moment = place
    start = datetime.fromisoformat(moment).replace(tzinfo=UTC) - timedelta(minutes=before)
    end = start + timedelta(hours=40)
    expression = f"{minute} {hour} * * {weekday}"
    expected = by_definition(expression, ZoneInfo(zone), start, end)
    assert firings(Schedule(expression, ZoneInfo(zone)), start, end) == expected


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
        "0 9 * jul,AUG mon-fri",
        "0 9 * * 5-7",
        "*/15,7 8-18/2 1-31/2 * *",
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
        ("0 9 L * *", "extensions"),
        ("0 9 LW * *", "extensions"),
        ("0 9 15W * *", "extensions"),
        ("0 9 * * 5#2", "extensions"),
        ("0 9 * * MON#1", "extensions"),
        ("0 9 * * 5L", "extensions"),
        ("0 9 ? * *", "extensions"),
        ("5/15 9 * * *", "write '5-59/15'"),
        ("0 9 * * 1,mon/2", "write 'mon-7/2'"),
        ("0 9 * JULY *", "month"),
        ("0 9 * * 1,,2", "weekday"),
        ("-5 9 * * *", "minute"),
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


@given(
    expression=st.sampled_from(["17 * * * *", "0 */7 * * *", "0 9 * * *", "0 9 1 * *", "0 0 29 2 *"]),
    before=st.integers(0, 60 * 24 * 40),
)
@settings(max_examples=40, deadline=None)
def test_the_latest_is_the_last_of_all(expression, before):
    schedule = Schedule(expression, BERLIN)
    since, until = SUNDAY - timedelta(minutes=before), SUNDAY
    latest = schedule.latest(since, until)
    every = firings(schedule, since, until)
    assert latest == (every[-1] if every else None)


def test_the_following_times_are_told_in_order():
    daily = Schedule("0 9 * * *", BERLIN)
    assert daily.following(SUNDAY, 3) == [SUNDAY.replace(day=23 + n, hour=8) for n in range(3)]


def test_a_schedule_that_is_wrong_says_why():
    with pytest.raises(ValueError, match="five fields"):
        Schedule("0 9 * *", BERLIN)
