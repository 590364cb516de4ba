from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cron_service.app.scheduler import parse_cron_expression
from cron_service.app.triggers import CronSimTrigger

SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

CHANGES = {  # zone: moments around which its clocks change
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],  # by half an hour
    "Africa/Cairo": ["2026-04-23T22:00", "2026-10-29T21:00"],  # at midnight
    "America/Havana": ["2026-03-08T05:00", "2026-11-01T05:00"],
    "Asia/Kolkata": ["2026-05-01T00:00"],
    "UTC": ["2026-05-01T00:00"],
}


def trigger(expression: str, zone: str = "UTC") -> CronSimTrigger:
    return parse_cron_expression(expression, zone)


def firings(a_trigger: CronSimTrigger, start: datetime, end: datetime) -> list[datetime]:
    found = []
    following = a_trigger.get_next_fire_time(None, start)
    while following is not None and following <= end:
        found.append(following)
        following = a_trigger.get_next_fire_time(following, following)
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
    assert firings(trigger(expression, zone), start, end) == expected


@pytest.mark.parametrize(
    ("expression", "weekdays"),
    [("0 9 * * 0", "Sun"), ("0 9 * * 7", "Sun"), ("0 9 * * 1", "Mon"), ("0 9 * * sat", "Sat")],
)
def test_weekdays_are_those_of_crontab(expression, weekdays):
    assert f"{trigger(expression).after(SUNDAY):%a}" == weekdays


def test_day_of_month_or_weekday():
    days = {f"{at:%d %a}" for at in firings(trigger("0 9 1 * 1"), SUNDAY, SUNDAY + timedelta(days=16))}
    assert days == {"23 Mon", "30 Mon", "01 Tue", "07 Mon"}


def test_a_skipped_time_fires_at_the_first_valid_minute():
    found = trigger("30 2 * * *", "Europe/Berlin").after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00 in Berlin


def test_a_repeated_time_fires_the_first_time_only():
    berlin = trigger("30 2 * * *", "Europe/Berlin")
    day = datetime(2026, 10, 25, tzinfo=UTC)
    assert firings(berlin, day, day + timedelta(hours=12)) == [day + timedelta(minutes=30)]
    in_the_second_pass = day + timedelta(hours=1, minutes=10)
    assert berlin.after(in_the_second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_now_itself_counts_but_the_previous_firing_does_not():
    every_minute = trigger("* * * * *")
    assert every_minute.get_next_fire_time(None, SUNDAY) == SUNDAY
    assert every_minute.get_next_fire_time(SUNDAY, SUNDAY) == SUNDAY + MINUTE
    assert every_minute.get_next_fire_time(None, SUNDAY + timedelta(seconds=0.5)) == SUNDAY + MINUTE


def test_firings_are_aware_and_in_utc():
    found = trigger("0 9 * * *", "Asia/Tokyo").after(SUNDAY)
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "0 0 9 * * *", "61 * * * *", "0 9 * * 8", "@daily", "0 9 31 2 *", "x * * * *"],
)
def test_what_is_not_five_field_cron_is_refused(expression):
    with pytest.raises(ValueError, match=r"cron expression|Bad"):
        trigger(expression)


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="Mars/Base"):
        trigger("* * * * *", "Mars/Base")


@given(
    expression=st.sampled_from(["17 * * * *", "0 */7 * * *", "0 9 * * *", "0 9 1 * *", "0 0 29 2 *"]),
    before=st.integers(0, 60 * 24 * 40),
)
@settings(max_examples=40, deadline=None)
def test_the_latest_is_the_last_of_all(expression, before):
    a_trigger = trigger(expression, "Europe/Berlin")
    since, until = SUNDAY - timedelta(minutes=before), SUNDAY
    latest = a_trigger.latest(since, until)
    every = firings(a_trigger, since, until)
    assert latest == (every[-1] if every else None)
