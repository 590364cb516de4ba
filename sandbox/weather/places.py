"""Places that the stand-in knows: those of places.csv, and one for each zone of the tz database."""

import csv
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import cos, hypot, radians

from ..model.cities import list_cities

_RUSSIAN_COUNTRIES = {
    "AE": "ОАЭ", "AM": "Армения", "AR": "Аргентина", "AT": "Австрия", "AU": "Австралия",
    "AZ": "Азербайджан", "BE": "Бельгия", "BG": "Болгария", "BR": "Бразилия", "BY": "Беларусь",
    "CA": "Канада", "CH": "Швейцария", "CN": "Китай", "CZ": "Чехия", "DE": "Германия", "DK": "Дания",
    "EE": "Эстония", "EG": "Египет", "ES": "Испания", "FI": "Финляндия", "FR": "Франция",
    "GB": "Великобритания", "GE": "Грузия", "GR": "Греция", "HK": "Гонконг", "HU": "Венгрия",
    "ID": "Индонезия", "IE": "Ирландия", "IL": "Израиль", "IN": "Индия", "IT": "Италия", "JP": "Япония",
    "KE": "Кения", "KR": "Южная Корея", "KZ": "Казахстан", "LT": "Литва", "LV": "Латвия",
    "MX": "Мексика", "NL": "Нидерланды", "NO": "Норвегия", "NZ": "Новая Зеландия", "PL": "Польша",
    "PT": "Португалия", "RO": "Румыния", "RS": "Сербия", "RU": "Россия", "SE": "Швеция",
    "SG": "Сингапур", "TH": "Таиланд", "TR": "Турция", "UA": "Украина", "US": "США", "UZ": "Узбекистан",
    "ZA": "ЮАР",
}  # fmt: skip
_ENGLISH_COUNTRIES = {"GB": "United Kingdom"}
"""Where the tz database's name is one for insiders (`Britain (UK)`)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere on earth. `names` are the spellings that find it, English and Russian first."""

    id: int
    names: tuple[str, ...]
    country_code: str
    latitude: float
    longitude: float
    zone: str
    population: int = 0
    region: str = ""

    def name(self, language: str) -> str:
        """In Russian for `ru`, in English otherwise."""
        return self.names[1] if language == "ru" and len(self.names) > 1 else self.names[0]

    def country(self, language: str) -> str:
        """As `name`."""
        english = _ENGLISH_COUNTRIES.get(self.country_code) or _countries().get(self.country_code, "")
        return _RUSSIAN_COUNTRIES.get(self.country_code, english) if language == "ru" else english


def find_places(name: str, country_code: str | None = None) -> list[Place]:
    """Places called `name`, the biggest first; with three letters or more, also those that begin so.

    A country or region after a comma narrows the search (open-meteo.com/en/docs/geocoding-api).
    """
    wanted, _comma, inside = (plain(part) for part in name.partition(","))
    if len(wanted) < 2:
        return []
    found = []
    for place in all_places():
        spellings = {plain(spelling) for spelling in place.names}
        exact = wanted in spellings
        begins = len(wanted) > 2 and any(spelling.startswith(wanted) for spelling in spellings)
        if (exact or begins) and _lies_in(place, inside, country_code):
            found.append((not exact, -place.population, place.id, place))
    return [place for *_order, place in sorted(found, key=lambda row: row[:3])]


def nearest(latitude: float, longitude: float) -> Place:
    """The place that is nearest."""

    def distance(place: Place) -> float:
        east = (place.longitude - longitude + 180) % 360 - 180
        return hypot(place.latitude - latitude, east * cos(radians(latitude)))

    return min(all_places(), key=distance)


def plain(text: str) -> str:
    """Lower case, without accents and outer blanks; Russian `ё` and `й` become `е` and `и`."""
    decomposed = unicodedata.normalize("NFKD", text.strip().lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=1)
def all_places() -> tuple[Place, ...]:
    """Read once."""
    spellings = {city.english: (city.russian, *names) for city, names in list_cities()}
    table = (files(__package__) / "places.csv").read_text(encoding="utf-8")
    places = [
        Place(
            id=number,
            names=(row["name"], row["russian"], *spellings.get(row["name"], ())),
            country_code=row["country"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            zone=row["zone"],
            population=int(row["thousands"]) * 1000,
            region=row["region"],
        )
        for number, row in enumerate(csv.DictReader(table.splitlines()), 1)
    ]
    # every zone of the tz database has a place, so that `timezone=auto` always finds one
    known = {plain(name) for place in places for name in place.names}
    for code, coordinates, zone in _zones():
        name = zone.rpartition("/")[2].replace("_", " ")
        if plain(name) not in known:
            latitude, longitude = _degrees(coordinates)
            places.append(Place(len(places) + 1, (name,), code, latitude, longitude, zone))
    return tuple(places)


def _lies_in(place: Place, inside: str, country_code: str | None) -> bool:
    if country_code and place.country_code != country_code.upper():
        return False
    names = (place.country_code, place.country("en"), place.country("ru"), place.region)
    return not inside or inside in {plain(name) for name in names}


def _zones() -> list[tuple[str, str, str]]:
    """Country, coordinates and zone of each line of `zone.tab`."""
    lines = _tz_file("zone.tab")
    return [(line.split("\t")[0], line.split("\t")[1], line.split("\t")[2]) for line in lines]


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    return {line.split("\t")[0]: line.split("\t")[1] for line in _tz_file("iso3166.tab")}


def _tz_file(name: str) -> list[str]:
    text = (files("tzdata.zoneinfo") / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _degrees(coordinates: str) -> tuple[float, float]:
    """ISO 6709: `+DDMM+DDDMM` or `+DDMMSS+DDDMMSS`."""
    split = max(coordinates.rfind("+"), coordinates.rfind("-"))
    return _angle(coordinates[:split], 2), _angle(coordinates[split:], 3)


def _angle(text: str, digits: int) -> float:
    degrees, minutes, seconds = text[1 : 1 + digits], text[1 + digits : 3 + digits], text[3 + digits :] or "0"
    value = int(degrees) + int(minutes) / 60 + int(seconds) / 3600
    return round(-value if text[0] == "-" else value, 4)
