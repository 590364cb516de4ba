"""Cities the model knows: their zones and how they are written in English and Russian."""

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import available_timezones

_TABLE = """
Europe/London|London|Лондон|в Лондоне|лондон
Europe/Dublin|Dublin|Дублин|в Дублине|дублин
Europe/Lisbon|Lisbon|Лиссабон|в Лиссабоне|лис+абон
Europe/Madrid|Madrid|Мадрид|в Мадриде|мадрид
Europe/Madrid|Barcelona|Барселона|в Барселоне|барселон
Europe/Paris|Paris|Париж|в Париже|париж
Europe/Brussels|Brussels|Брюссель|в Брюсселе|брюссел
Europe/Amsterdam|Amsterdam|Амстердам|в Амстердаме|амстердам
Europe/Berlin|Berlin|Берлин|в Берлине|берлин
Europe/Berlin|Munich|Мюнхен|в Мюнхене|мюнхен
Europe/Zurich|Zurich|Цюрих|в Цюрихе|цюрих
Europe/Vienna|Vienna|Вена|в Вене|вен[ауеы]
Europe/Prague|Prague|Прага|в Праге|праг
Europe/Warsaw|Warsaw|Варшава|в Варшаве|варшав
Europe/Budapest|Budapest|Будапешт|в Будапеште|будапешт
Europe/Rome|Rome|Рим|в Риме|рим[уеа]?
Europe/Rome|Milan|Милан|в Милане|милан
Europe/Athens|Athens|Афины|в Афинах|афин
Europe/Belgrade|Belgrade|Белград|в Белграде|белград
Europe/Bucharest|Bucharest|Бухарест|в Бухаресте|бухарест
Europe/Sofia|Sofia|София|в Софии|софи[яию]
Europe/Copenhagen|Copenhagen|Копенгаген|в Копенгагене|копенгаген
Europe/Stockholm|Stockholm|Стокгольм|в Стокгольме|стокгольм
Europe/Oslo|Oslo|Осло|в Осло|осло
Europe/Helsinki|Helsinki|Хельсинки|в Хельсинки|хельсинки
Europe/Riga|Riga|Рига|в Риге|риг[ауеи]
Europe/Vilnius|Vilnius|Вильнюс|в Вильнюсе|вильнюс
Europe/Tallinn|Tallinn|Таллин|в Таллине|таллин
Europe/Kyiv|Kyiv,Kiev|Киев|в Киеве|киев
Europe/Minsk|Minsk|Минск|в Минске|минск
Europe/Istanbul|Istanbul|Стамбул|в Стамбуле|стамбул
Europe/Moscow|Moscow|Москва|в Москве|москв
Europe/Moscow|Saint Petersburg,St Petersburg,St. Petersburg|Петербург|в Петербурге|(?:санкт-)?петербург|питер
Europe/Kaliningrad|Kaliningrad|Калининград|в Калининграде|калининград
Europe/Samara|Samara|Самара|в Самаре|самар
Asia/Yekaterinburg|Yekaterinburg,Ekaterinburg|Екатеринбург|в Екатеринбурге|екатеринбург
Asia/Omsk|Omsk|Омск|в Омске|омск
Asia/Novosibirsk|Novosibirsk|Новосибирск|в Новосибирске|новосибирск
Asia/Krasnoyarsk|Krasnoyarsk|Красноярск|в Красноярске|красноярск
Asia/Irkutsk|Irkutsk|Иркутск|в Иркутске|иркутск
Asia/Vladivostok|Vladivostok|Владивосток|во Владивостоке|владивосток
Asia/Kamchatka|Kamchatka|Камчатка|на Камчатке|камчатк
Asia/Tbilisi|Tbilisi|Тбилиси|в Тбилиси|тбилиси
Asia/Yerevan|Yerevan|Ереван|в Ереване|ереван
Asia/Baku|Baku|Баку|в Баку|баку
Asia/Almaty|Almaty|Алматы|в Алматы|алмат[ыа]|алма-ат
Asia/Tashkent|Tashkent|Ташкент|в Ташкенте|ташкент
Asia/Jerusalem|Jerusalem|Иерусалим|в Иерусалиме|иерусалим
Asia/Jerusalem|Tel Aviv|Тель-Авив|в Тель-Авиве|тель-авив
Asia/Dubai|Dubai|Дубай|в Дубае|дуба[йеяю]
Asia/Kolkata|Delhi,New Delhi|Дели|в Дели|дели
Asia/Kolkata|Mumbai|Мумбаи|в Мумбаи|мумба
Asia/Bangkok|Bangkok|Бангкок|в Бангкоке|бангкок
Asia/Jakarta|Jakarta|Джакарта|в Джакарте|джакарт
Asia/Singapore|Singapore|Сингапур|в Сингапуре|сингапур
Asia/Hong_Kong|Hong Kong|Гонконг|в Гонконге|гонконг
Asia/Shanghai|Beijing|Пекин|в Пекине|пекин
Asia/Shanghai|Shanghai|Шанхай|в Шанхае|шанха
Asia/Seoul|Seoul|Сеул|в Сеуле|сеул
Asia/Tokyo|Tokyo|Токио|в Токио|токио
Australia/Sydney|Sydney|Сидней|в Сиднее|сидне
Australia/Melbourne|Melbourne|Мельбурн|в Мельбурне|мельбурн
Pacific/Auckland|Auckland|Окленд|в Окленде|окленд
Africa/Cairo|Cairo|Каир|в Каире|каир
Africa/Johannesburg|Johannesburg|Йоханнесбург|в Йоханнесбурге|йоханнесбург
Africa/Johannesburg|Cape Town|Кейптаун|в Кейптауне|кейптаун
Africa/Nairobi|Nairobi|Найроби|в Найроби|найроби
America/New_York|New York,NYC|Нью-Йорк|в Нью-Йорке|нью-йорк
America/New_York|Boston|Бостон|в Бостоне|бостон
America/New_York|Washington|Вашингтон|в Вашингтоне|вашингтон
America/Toronto|Toronto|Торонто|в Торонто|торонто
America/Chicago|Chicago|Чикаго|в Чикаго|чикаго
America/Denver|Denver|Денвер|в Денвере|денвер
America/Los_Angeles|Los Angeles|Лос-Анджелес|в Лос-Анджелесе|лос-анджелес
America/Los_Angeles|San Francisco|Сан-Франциско|в Сан-Франциско|сан-франциско
America/Los_Angeles|Seattle|Сиэтл|в Сиэтле|сиэтл
America/Mexico_City|Mexico City|Мехико|в Мехико|мехико
America/Sao_Paulo|Sao Paulo,São Paulo|Сан-Паулу|в Сан-Паулу|сан-паулу
America/Sao_Paulo|Rio de Janeiro|Рио-де-Жанейро|в Рио-де-Жанейро|рио-де-жанейро
America/Argentina/Buenos_Aires|Buenos Aires|Буэнос-Айрес|в Буэнос-Айресе|буэнос-айрес
UTC|UTC,GMT|UTC|по UTC|utc|gmt
"""


@dataclass(frozen=True, slots=True)
class City:
    """A place with a zone; `russian_in` is the phrase for "in the place"."""

    zone: str
    english: str
    russian: str
    russian_in: str


@dataclass(frozen=True, slots=True)
class _Entry:
    city: City
    pattern: re.Pattern[str]
    names: tuple[str, ...]


def find_cities(text: str) -> tuple[City, ...]:
    """Every place named in `text`, in the order of their appearance, none twice."""
    found: dict[str, tuple[int, City]] = {}
    for entry in _entries():
        match = entry.pattern.search(text)
        if match:
            found.setdefault(entry.city.english, (match.start(), entry.city))
    # a zone's own name ("Asia/Tokyo") counts only where no city of that zone is named
    for position, city in _zone_names(text):
        if all(known.zone != city.zone for _start, known in found.values()):
            found.setdefault(city.english, (position, city))
    return tuple(city for _start, city in sorted(found.values(), key=lambda pair: pair[0]))


def list_cities() -> tuple[tuple[City, tuple[str, ...]], ...]:
    """The table: each city with its English spellings."""
    return tuple((entry.city, entry.names) for entry in _entries())


def city_of_zone(zone: str) -> City:
    """How the place of a zone is called."""
    for entry in _entries():
        if entry.city.zone == zone:
            return entry.city
    return _plain(zone)


@lru_cache(maxsize=1)
def _entries() -> tuple[_Entry, ...]:
    entries = []
    for line in _TABLE.strip().splitlines():
        zone, english, russian, russian_in, stems = line.split("|", 4)
        names = english.split(",")
        alternatives = "|".join(re.escape(name) for name in names)
        pattern = re.compile(rf"\b(?:{alternatives}|(?:{stems})(?:[а-яё]{{0,3}}))\b", re.IGNORECASE)
        entries.append(_Entry(City(zone, names[0], russian, russian_in), pattern, tuple(names)))
    return tuple(entries)


@lru_cache(maxsize=1)
def _zones_by_name() -> dict[str, str]:
    """`Asia/Kathmandu` under its whole name and under `kathmandu`."""
    names: dict[str, str] = {}
    for zone in sorted(available_timezones()):
        area, _slash, place = zone.rpartition("/")
        names[zone.lower()] = zone
        if area and not area.startswith(("Etc", "SystemV", "US", "Canada", "Mexico", "Brazil", "Chile")):
            names.setdefault(place.replace("_", " ").lower(), zone)
    return names


_ZONE_NAME = re.compile(r"\b[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_+-]+)+")
_PROPER = re.compile(r"\b(?:in|for|to|at|from|в|во)\s+([A-Z][a-z]+(?:[ -][A-Z][a-z]+){0,2})")


def _zone_names(text: str) -> list[tuple[int, City]]:
    """Places of the tz database that the table does not hold."""
    candidates = [(match.start(), match[0]) for match in _ZONE_NAME.finditer(text)]
    candidates += [(match.start(1), match[1]) for match in _PROPER.finditer(text)]
    zones = _zones_by_name()
    return [(start, _plain(zones[name.lower()])) for start, name in candidates if name.lower() in zones]


def _plain(zone: str) -> City:
    name = zone.rpartition("/")[2].replace("_", " ")
    return City(zone, name, name, f"в {name}")
