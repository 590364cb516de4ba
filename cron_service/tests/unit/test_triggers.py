from datetime import UTC, datetime, timedelta

import pytest

from cron_service.app.scheduler import parse_cron_expression
from cron_service.app.triggers import CronSimTrigger

SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def trigger(expression: str, zone: str = "UTC") -> CronSimTrigger:
    return parse_cron_expression(expression, zone)


def firings(a_trigger: CronSimTrigger, start: datetime, end: datetime) -> list[datetime]:
    found = []
    following = a_trigger.get_next_fire_time(None, start)
    while following is not None and following <= end:
        found.append(following)
        following = a_trigger.get_next_fire_time(following, following)
    return found


@pytest.mark.parametrize(
    ("expression", "weekdays"),
    [("0 9 * * 0", "Sun"), ("0 9 * * 7", "Sun"), ("0 9 * * 1", "Mon"), ("0 9 * * sat", "Sat")],
)
def test_weekdays_are_those_of_crontab(expression, weekdays):
    assert f"{trigger(expression).schedule.after(SUNDAY):%a}" == weekdays


def test_day_of_month_or_weekday():
    days = {f"{at:%d %a}" for at in firings(trigger("0 9 1 * 1"), SUNDAY, SUNDAY + timedelta(days=16))}
    assert days == {"23 Mon", "30 Mon", "01 Tue", "07 Mon"}


def test_a_skipped_time_fires_at_the_first_valid_minute():
    found = trigger("30 2 * * *", "Europe/Berlin").schedule.after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00 in Berlin


def test_a_repeated_time_fires_the_first_time_only():
    berlin = trigger("30 2 * * *", "Europe/Berlin")
    day = datetime(2026, 10, 25, tzinfo=UTC)
    assert firings(berlin, day, day + timedelta(hours=12)) == [day + timedelta(minutes=30)]
    in_the_second_pass = day + timedelta(hours=1, minutes=10)
    assert berlin.schedule.after(in_the_second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_now_itself_counts_but_the_previous_firing_does_not():
    every_minute = trigger("* * * * *")
    assert every_minute.get_next_fire_time(None, SUNDAY) == SUNDAY
    assert every_minute.get_next_fire_time(SUNDAY, SUNDAY) == SUNDAY + MINUTE
    assert every_minute.get_next_fire_time(None, SUNDAY + timedelta(seconds=0.5)) == SUNDAY + MINUTE


def test_firings_are_aware_and_in_utc():
    found = trigger("0 9 * * *", "Asia/Tokyo").schedule.after(SUNDAY)
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "0 0 9 * * *", "61 * * * *", "0 9 * * 8", "@daily", "0 9 31 2 *", "x * * * *"],
)
def test_what_is_not_five_field_cron_is_refused(expression):
    with pytest.raises(ValueError, match=r"cron expression|not a valid|not supported|never fire"):
        trigger(expression)


def test_a_trigger_names_itself_in_the_log():
    assert str(trigger("0 9 * * *", "Asia/Tokyo")) == "cron[0 9 * * * Asia/Tokyo]"


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="Mars/Base"):
        trigger("* * * * *", "Mars/Base")
