"""What people write for a time zone."""

from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tg_bot.src.utils.zones import find_zone, similar_zones


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (" america/new_york ", "America/New_York"),
        ("berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Нью-Йорк", "America/New_York"),
        ("москва", "Europe/Moscow"),
        ("Кишинев", "Europe/Chisinau"),
        ("Sao Paulo", "America/Sao_Paulo"),
        ("kyiv", "Europe/Kyiv"),
        ("Киев", "Europe/Kyiv"),
        ("Калькутта", "Asia/Kolkata"),
        ("Буэнос-Айрес", "America/Argentina/Buenos_Aires"),
        ("Ho Chi Minh City", "Asia/Ho_Chi_Minh"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("UTC", "UTC"),
        ("GMT", "GMT"),
        ("UTC+3", "Etc/GMT-3"),
        ("gmt -5", "Etc/GMT+5"),
        ("UTC−5", "Etc/GMT+5"),
        ("+0", "UTC"),
        ("UTC+20", None),
        ("Narnia", None),
        ("", None),
    ],
)
def test_find_zone(written, zone):
    assert find_zone(written) == zone


@given(st.sampled_from(sorted(zone for zone in available_timezones() if "/" in zone)))
def test_every_zone_is_found_by_its_own_name(zone):
    assert find_zone(zone.lower()) == zone


@given(st.text(max_size=80))
def test_whatever_is_written_a_zone_is_one_that_exists(written):
    found = [find_zone(written), *similar_zones(written)]
    assert {zone for zone in found if zone} <= available_timezones()


def test_a_slip_of_the_pen_is_understood():
    assert similar_zones("Berlinn") == ["Europe/Berlin"]
