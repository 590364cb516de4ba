"""What people write for a time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.contracts.base import zone_names
from service_kit.zone_abbreviations import ABBREVIATIONS
from service_kit.zone_cities import CITIES
from service_kit.zones import find_zones, label_of, similar_zones

WINTER = datetime(2026, 11, 28, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
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
        ("EST5EDT", "EST5EDT"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Санкт-Петербург", "Europe/Moscow"),
        ("в Петербурге", "Europe/Moscow"),
        ("San Francisco", "America/Los_Angeles"),
        ("Мюнхене", "Europe/Berlin"),
        ("Mumbai, India", "Asia/Kolkata"),
        # in a phrase
        ("по москве", "Europe/Moscow"),
        ("по московскому времени", "Europe/Moscow"),
        ("московское время", "Europe/Moscow"),
        ("в Новосибирске", "Asia/Novosibirsk"),
        ("Moscow time", "Europe/Moscow"),
        ("Московский часовой пояс", "Europe/Moscow"),
        ("по киевскому времени", "Europe/Kyiv"),
        ("по Гринвичу", "GMT"),
        ("Moscow (UTC+3)", "Europe/Moscow"),
        ("(UTC+01:00) Berlin", "Europe/Berlin"),
        ("Eastern Standard Time", "America/New_York"),
        ("Pacific Daylight Time", "America/Los_Angeles"),
        ("Central European Summer Time", "CET"),
        ("my time zone is Tokyo", "Asia/Tokyo"),
        # countries
        ("Germany", "Europe/Berlin"),
        ("ЯПОНИЯ", "Asia/Tokyo"),
        ("в Казахстане", "Asia/Almaty"),
        ("Turkey", "Europe/Istanbul"),
        ("Paris, France", "Europe/Paris"),
        ("London UK", "Europe/London"),
        ("Moscow, Russia", "Europe/Moscow"),
        ("Мюнхен, Германия", "Europe/Berlin"),
        # abbreviations
        ("MSK", "Europe/Moscow"),
        ("мск", "Europe/Moscow"),
        ("EST", "America/New_York"),
        ("est", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("CET", "CET"),
        ("JST", "Asia/Tokyo"),
        # offsets
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("GMT", "GMT"),
        ("UTC+3", "Etc/GMT-3"),
        ("GMT+3", "Etc/GMT-3"),
        ("+3", "Etc/GMT-3"),
        ("+03:00", "Etc/GMT-3"),
        ("UTC+0300", "Etc/GMT-3"),
        ("МСК+2", "Etc/GMT-5"),
        ("gmt -5", "Etc/GMT+5"),
        ("UTC−5", "Etc/GMT+5"),
        ("+0", "UTC"),
        ("UTC+5:45", "Asia/Kathmandu"),
        ("UTC+05.45", "Asia/Kathmandu"),
        ("UTC-03:30", "America/St_Johns"),
        ("UTC+12:45", "Pacific/Chatham"),
    ],
)
def test_understood(written, zone):
    assert find_zones(written, WINTER) == [zone]


@pytest.mark.parametrize(
    "written",
    [
        *("UTC+20", "UTC-13", "+14:30", "UTC+5:17", "UTC+5:75", "Narnia", "", "12345", "3", "Paris, Texas"),
        *("Factory", "localtime", "posixrules", "posix/Europe/Berlin", "../x", "leapseconds", "tzdata.zi"),
    ],
)
def test_not_understood(written):
    assert find_zones(written, WINTER) == []


@pytest.mark.parametrize(
    ("written", "some"),
    [
        ("IST", {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"}),
        ("UTC+5:30", {"Asia/Kolkata", "Asia/Colombo"}),
        ("USA", {"America/New_York", "America/Chicago", "America/Los_Angeles", "America/Phoenix"}),
        ("Springfield, США", {"America/Los_Angeles", "America/Chicago"}),
        ("Россия", {"Europe/Moscow", "Asia/Vladivostok"}),
        ("Brazil", {"America/Sao_Paulo", "America/Noronha"}),
        ("Spain", {"Europe/Madrid", "Atlantic/Canary"}),
    ],
)
def test_what_has_several_meanings_gives_all(written, some):
    found = find_zones(written, WINTER)
    assert len(found) > 1
    assert some <= set(found)


def test_an_offset_of_summer_time_is_one_of_that_season():
    assert find_zones("UTC-2:30", SUMMER) == ["America/St_Johns"]
    assert find_zones("UTC-3:30", SUMMER) == ["America/St_Johns"]
    assert find_zones("UTC-2:30", WINTER) == []


@given(st.integers(-14, 16), st.integers(0, 59))
def test_an_offset_is_never_read_with_the_wrong_sign(hours, minutes):
    wish = timedelta(hours=abs(hours), minutes=minutes) * (-1 if hours < 0 else 1)
    for zone in find_zones(f"UTC{hours:+03d}:{minutes:02d}", WINTER):
        assert ZoneInfo(zone).utcoffset(WINTER.replace(tzinfo=None)) == wish or zone == "America/St_Johns"


@given(st.sampled_from(sorted(zone for zone in zone_names() if "/" in zone)))
def test_every_zone_is_found_by_its_own_name(zone):
    assert find_zones(zone.lower(), WINTER) == [zone]


def test_abbreviations_stand_for_zones_that_exist():
    assert {zone for zones in ABBREVIATIONS.values() for zone in zones} <= zone_names()
    assert CITIES.keys() <= zone_names()


@given(st.text(max_size=80))
def test_whatever_is_written_a_zone_is_one_that_exists(written):
    assert {*find_zones(written, WINTER), *similar_zones(written)} <= zone_names()


def test_a_slip_of_the_pen_is_understood():
    assert similar_zones("Berlinn") == ["Europe/Berlin"]
    assert similar_zones("UTC+20") == []


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Etc/GMT-3", "UTC+3"),
        ("Etc/GMT+11", "UTC-11"),
        ("Etc/GMT", "UTC"),
        ("Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_an_offset_is_shown_with_the_sign_that_people_expect(zone, label):
    assert label_of(zone) == label
