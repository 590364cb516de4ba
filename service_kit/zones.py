"""From what a person writes to IANA time zones.

It understands a zone's own name (`Europe/Berlin`, in any case), an offset from UTC (`UTC+5:45`), an
abbreviation (`MSK`), and cities and countries in English or Russian as Unicode's CLDR names them, also
inside a phrase ("Moscow, Russia", "по москве"). A text that can mean several zones gives all of them; the
person chooses.
"""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.resources import files
from types import ModuleType
from zoneinfo import ZoneInfo

from service_kit.contracts.base import zone_names
from service_kit.zone_abbreviations import ABBREVIATIONS, COUNTRIES
from service_kit.zone_cities import CITIES

LANGUAGES = ("en", "ru")
SUGGESTIONS = 3

_OFFSET = re.compile(
    r"(utc|gmt|z|msk|мск)?\s*([+\-−–])?\s*(\d{1,2})(?:\s*[:.,]?\s*(\d{2})|[.,](5))?(?:\s*(?:utc|gmt))?"
)
_SAID_OFFSET = re.compile(r"(?:utc|gmt)\s*[+\-−–]\s*\d{1,2}(?::?\d{2})?")
"""Beside a place it says nothing new: "Moscow (UTC+3)"."""
_MOSCOW = ("msk", "мск")
_EAST, _WEST = 14 * 60, 12 * 60
"""Minutes that zones reach from UTC."""
_FILLER = re.compile(
    r"\b(?:my|the|in|is|time|zone|timezone|local|standard|daylight|summer|по|в|во|мои|часовои|пояс|время|времени|город|г)\b\.?"
)
_ENDING = re.compile(r"(?:(?<=ск)(?:ому|ого|ое|ии|ои|ая|ом|им)|[аеиоуыэюяь])$")
"""Of a Russian word in any case: по Москве, московскому, в Казани."""


def find_zones(text: str, now: datetime) -> list[str]:
    """The zones that `text` can mean at the time `now`, empty where it means none."""
    if "/" in text and text in zone_names():
        return [text]
    wanted = _normalize(text)
    if offset := _OFFSET.fullmatch(wanted):
        return _at_offset(offset, now)
    stripped = (_normalize(pattern.sub(" ", wanted)) for pattern in (_FILLER, _SAID_OFFSET))
    for candidate in (wanted, *stripped):
        if found := _look_up(candidate, now) or _in_country(candidate, now):
            return found
    return []


def similar_zones(text: str) -> list[str]:
    """Zones whose names are close to `text`, the closest first."""
    places = {name: zones for name, zones in _places().items() if not re.search(r"\d", name)}
    close = difflib.get_close_matches(_normalize(text), places, n=2 * SUGGESTIONS, cutoff=0.75)
    return list(dict.fromkeys(zone for name in close for zone in places[name]))[:SUGGESTIONS]


def _look_up(name: str, now: datetime) -> list[str]:
    for names in (ABBREVIATIONS, _places()):
        if zones := names.get(name):
            return list(zones)
    if country := _countries().get(name) or _countries().get(_stem(name)):
        return _zones_of(country, now)
    stem = _stem(name)
    return list(_stems().get(stem) or _stems().get(stem.removesuffix("ск"), ()))  # берлинское


def _in_country(phrase: str, now: datetime) -> list[str]:
    """A city with its country ("Moscow, Russia"); of a city that is no zone's, what its country has."""
    words = phrase.replace(",", " , ").split()
    for cut in range(1, len(words)):
        country = _countries().get(" ".join(words[cut:]))
        if country is None:
            continue
        city = " ".join(word for word in words[:cut] if word != ",")
        there = _zones_in(country)
        return [zone for zone in _look_up(city, now) if zone in there] or _zones_of(country, now)
    return []


def label_of(zone: str) -> str:
    """How people read the zone: `UTC+3` for Etc/GMT-3, whose sign means the opposite; others as they are."""
    if not zone.startswith("Etc/GMT"):
        return zone
    hours = -int(zone.removeprefix("Etc/GMT") or 0)
    return f"UTC{hours:+d}" if hours else "UTC"


def _at_offset(match: re.Match[str], now: datetime) -> list[str]:
    base, sign, hours, minutes, half = match.groups()
    if not (base or sign):  # a bare number
        return []
    total = 60 * int(hours) + (30 if half else int(minutes or 0))
    total = (-total if sign and sign != "+" else total) + (180 if base in _MOSCOW else 0)
    if int(minutes or 0) > 59 or not -_WEST <= total <= _EAST:
        return []
    if total == 0:
        return ["UTC"]
    if total % 60 == 0:
        # POSIX counts westwards: Etc/GMT-3 is three hours ahead of UTC
        return [f"Etc/GMT{-total // 60:+d}"]
    distance = timedelta(minutes=total)
    places = sorted(_country_of(), key=lambda zone: zone not in _windows_zones())  # stable
    today = [zone for zone in places if now.astimezone(ZoneInfo(zone)).utcoffset() == distance]
    found = today or [zone for zone in places if _standard_offset(zone, now) == distance]
    return list({_country_of()[zone]: zone for zone in reversed(found)}.values())


def _standard_offset(zone: str, now: datetime) -> timedelta:
    local = now.astimezone(ZoneInfo(zone))
    return (local.utcoffset() or timedelta()) - (local.dst() or timedelta())


def _zones_of(country: str, now: datetime) -> list[str]:
    """One zone where the country has one clock, else the well-known ones and one of each other clock."""
    first: dict[tuple[object, ...], str] = {}
    for zone in sorted(_zones_in(country), key=lambda zone: zone not in _windows_zones()):
        first.setdefault(_clock(zone, now), zone)
    if len(first) == 1:
        return [_zones_in(country)[0]]
    return [zone for zone in _zones_in(country) if zone in _windows_zones() or zone in first.values()]


def _clock(zone: str, now: datetime) -> tuple[object, ...]:
    """Equal for zones whose clocks agree all year."""
    months = (datetime(now.year, month, 1, tzinfo=UTC) for month in range(1, 13))
    return tuple(month.astimezone(ZoneInfo(zone)).utcoffset() for month in months)


def _normalize(text: str) -> str:
    """Without case, accents and the like: São Paulo is found as sao paulo."""
    letters = unicodedata.normalize("NFKD", re.sub("[()]", " ", text.casefold()))
    return " ".join(
        "".join(one for one in letters if not unicodedata.combining(one)).replace("_", " ").split()
    )


def _stem(name: str) -> str:
    return " ".join(_ENDING.sub("", word) if len(word) > 4 else word for word in name.split())


@cache
def _places() -> Mapping[str, tuple[str, ...]]:
    """Plain names of zones, cities and Windows' zones; a zone's own name wins over a city's. Made once."""
    # names without a slash are old ones, often a country's, which may have got more zones since
    zones = [zone for zone in zone_names() if "/" in zone or _normalize(zone) not in _countries()]
    places = {
        _normalize(name): (_current_name(zone),)
        for name, zone in _babel().get_global("windows_zone_mapping").items()
    }
    # a zone that Unicode gives a country is the living one of those that share a city
    cities = sorted(
        (z for z in zones if not z.startswith("Etc/")), key=lambda zone: (zone in _country_of(), zone)
    )
    places |= {_normalize(city): (zone,) for zone, some in CITIES.items() for city in some.split(", ")}
    places |= {_normalize(zone.rpartition("/")[2]): (zone,) for zone in cities}
    for language in LANGUAGES:
        for zone, about in _babel().Locale(language).time_zones.items():
            if "city" in about and _current_name(zone) in zone_names():
                places[_normalize(about["city"])] = (_current_name(zone),)
    return places | {_normalize(zone): (zone,) for zone in zones}


@cache
def _stems() -> dict[str, tuple[str, ...]]:
    """Russian places without their endings, and what they mean; of a stem with several meanings, all."""
    stems: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for name, zones in {**_places(), **ABBREVIATIONS}.items():
        if re.search("[а-я]", name):
            stems[_stem(name)] |= dict.fromkeys(zones)
    return {stem: tuple(zones) for stem, zones in stems.items()}


@cache
def _countries() -> dict[str, str]:
    """Plain names of countries, in both languages, to their ISO 3166 codes."""
    coded = _babel().get_global("territory_zones")
    named = {
        _normalize(name): code
        for language in LANGUAGES
        for code, name in _babel().Locale(language).territories.items()
        if code in coded
    }
    return {**{_stem(name): code for name, code in named.items()}, **named, **COUNTRIES}


def _zones_in(country: str) -> list[str]:
    return [zone for zone, code in _country_of().items() if code == country]


@cache
def _country_of() -> dict[str, str]:
    """Living zones to their countries; those of one country begin with the most populous, if possible."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {zone: country for country, _, zone, *_ in rows if zone in zone_names()}


@cache
def _windows_zones() -> frozenset[str]:
    """Those that Windows offers."""
    return frozenset(_current_name(zone) for zone in _babel().get_global("windows_zone_mapping").values())


def _current_name(zone: str) -> str:
    # Unicode keeps a zone under its first name for ever: Киев stands under Europe/Kiev
    return str(_babel().get_global("zone_aliases").get(zone, zone))


def _babel() -> ModuleType:
    # imported on use, as uvicorn in `service_kit.web`: two services have it installed
    return import_module("babel.core")
