"""Places that the stand-in knows: the scripted model's cities, namesakes, and those of the tz database."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import cos, hypot, radians

from ..model.cities import known_cities

# name | country | latitude | longitude | metres above the sea | thousands of people | region
_TABLE = """
London|GB|51.5085|-0.1257|25|8962|England
Dublin|IE|53.3331|-6.2489|17|1025|Leinster
Lisbon|PT|38.7169|-9.1399|45|518|Lisbon
Madrid|ES|40.4165|-3.7026|665|3256|Madrid
Barcelona|ES|41.3888|2.159|47|1621|Catalonia
Paris|FR|48.8534|2.3488|42|2138|Île-de-France
Brussels|BE|50.8505|4.3488|28|1020|Brussels Capital
Amsterdam|NL|52.374|4.8897|13|742|North Holland
Berlin|DE|52.5244|13.4105|74|3427|State of Berlin
Munich|DE|48.1374|11.5755|524|1260|Bavaria
Zurich|CH|47.3667|8.55|429|341|Zurich
Vienna|AT|48.2085|16.3721|171|1691|Vienna
Prague|CZ|50.088|14.4208|202|1165|Prague
Warsaw|PL|52.2298|21.0118|113|1703|Mazovia
Budapest|HU|47.4984|19.0404|104|1741|Budapest
Rome|IT|41.8919|12.5113|20|2319|Lazio
Milan|IT|45.4643|9.1895|120|1237|Lombardy
Athens|GR|37.9838|23.7278|70|664|Attica
Belgrade|RS|44.804|20.4651|120|1273|Central Serbia
Bucharest|RO|44.4323|26.1063|83|1877|București
Sofia|BG|42.6975|23.3242|562|1152|Sofia-Capital
Copenhagen|DK|55.6759|12.5655|14|1153|Capital Region
Stockholm|SE|59.3294|18.0687|17|1515|Stockholm
Oslo|NO|59.9127|10.7461|26|580|Oslo
Helsinki|FI|60.1695|24.9354|26|558|Uusimaa
Riga|LV|56.946|24.1059|10|742|Riga
Vilnius|LT|54.6892|25.2798|125|542|Vilnius
Tallinn|EE|59.437|24.7535|18|394|Harjumaa
Kyiv|UA|50.4547|30.5238|187|2797|Kyiv City
Minsk|BY|53.9|27.5667|222|1742|Minsk City
Istanbul|TR|41.0138|28.9497|39|14804|Istanbul
Moscow|RU|55.7522|37.6156|144|10381|Moscow
Saint Petersburg|RU|59.9386|30.3141|11|5351|St.-Petersburg
Kaliningrad|RU|54.7065|20.511|10|435|Kaliningrad Oblast
Samara|RU|53.2001|50.15|117|1134|Samara Oblast
Yekaterinburg|RU|56.8519|60.6122|237|1349|Sverdlovsk Oblast
Omsk|RU|54.9924|73.3686|90|1129|Omsk Oblast
Novosibirsk|RU|55.0415|82.9346|162|1419|Novosibirsk Oblast
Krasnoyarsk|RU|56.0184|92.8672|141|927|Krasnoyarsk Krai
Irkutsk|RU|52.2978|104.2964|440|586|Irkutsk Oblast
Vladivostok|RU|43.1056|131.8735|40|587|Primorye
Kamchatka|RU|53.0452|158.6483|59|187|Kamchatka
Tbilisi|GE|41.6941|44.8337|451|1049|Tbilisi
Yerevan|AM|40.1811|44.5136|994|1093|Yerevan
Baku|AZ|40.3777|49.892|-3|1116|Baku City
Almaty|KZ|43.25|76.9167|787|1977|Almaty
Tashkent|UZ|41.2647|69.2163|424|1978|Tashkent
Jerusalem|IL|31.769|35.2163|786|801|Jerusalem
Tel Aviv|IL|32.0809|34.7806|15|432|Tel Aviv
Dubai|AE|25.0772|55.3093|24|3790|Dubai
Delhi|IN|28.6519|77.2315|227|10927|Delhi
Mumbai|IN|19.0728|72.8826|8|12691|Maharashtra
Bangkok|TH|13.754|100.5014|12|5104|Bangkok
Jakarta|ID|-6.2146|106.8451|8|8540|Jakarta
Singapore|SG|1.2897|103.8501|23|5638|
Hong Kong|HK|22.2783|114.1747|28|7396|
Beijing|CN|39.9075|116.3972|49|18961|Beijing
Shanghai|CN|31.2222|121.4581|12|24875|Shanghai
Seoul|KR|37.566|126.9784|38|10349|Seoul
Tokyo|JP|35.6895|139.6917|44|9734|Tokyo
Sydney|AU|-33.8678|151.2073|58|4627|New South Wales
Melbourne|AU|-37.814|144.9633|25|4246|Victoria
Auckland|NZ|-36.8485|174.7635|26|418|Auckland
Cairo|EG|30.0626|31.2497|23|9606|Cairo Governorate
Johannesburg|ZA|-26.2023|28.0436|1767|2026|Gauteng
Cape Town|ZA|-33.9258|18.4232|25|4772|Western Cape
Nairobi|KE|-1.2833|36.8167|1684|4397|Nairobi County
New York|US|40.7143|-74.006|10|8804|New York
Boston|US|42.3584|-71.0598|38|653|Massachusetts
Washington|US|38.8951|-77.0364|6|689|District of Columbia
Toronto|CA|43.7064|-79.3986|175|2600|Ontario
Chicago|US|41.85|-87.65|179|2720|Illinois
Denver|US|39.7392|-104.9847|1609|682|Colorado
Los Angeles|US|34.0522|-118.2437|89|3971|California
San Francisco|US|37.7749|-122.4194|16|864|California
Seattle|US|47.6062|-122.3321|56|684|Washington
Mexico City|MX|19.4285|-99.1277|2240|12294|Mexico City
Sao Paulo|BR|-23.5475|-46.6361|769|12400|São Paulo
Rio de Janeiro|BR|-22.9064|-43.1822|13|6748|Rio de Janeiro
Buenos Aires|AR|-34.6132|-58.3772|31|13076|Buenos Aires F.D.
"""
# name | Russian | zone | and the rest as above: smaller ones of the same name
_NAMESAKES = """
London|Лондон|America/Toronto|CA|42.9834|-81.233|252|347|Ontario
Paris|Париж|America/Chicago|US|33.6609|-95.5555|183|25|Texas
Moscow|Москва|America/Los_Angeles|US|46.7324|-117.0002|787|25|Idaho
Berlin|Берлин|America/New_York|US|44.4687|-71.1851|311|9|New Hampshire
Athens|Атенс|America/New_York|US|33.9609|-83.3779|214|116|Georgia
Saint Petersburg|Сент-Питерсберг|America/New_York|US|27.7709|-82.6793|16|257|Florida
"""
_RUSSIAN_NAMES = {"Saint Petersburg": "Санкт-Петербург"}
"""Where a map's name is longer than the one people say."""
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
    elevation: float
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


def nearest(latitude: float, longitude: float) -> tuple[Place, float]:
    """The nearest place and how far it is, in degrees."""

    def distance(place: Place) -> float:
        east = (place.longitude - longitude + 180) % 360 - 180
        return hypot(place.latitude - latitude, east * cos(radians(latitude)))

    place = min(all_places(), key=distance)
    return place, distance(place)


def plain(text: str) -> str:
    """Lower case, without accents and outer blanks; Russian `ё` and `й` become `е` and `и`."""
    decomposed = unicodedata.normalize("NFKD", text.strip().lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=1)
def all_places() -> tuple[Place, ...]:
    """Read once."""
    cities = {city.english: (city, names) for city, names in known_cities()}
    places: list[Place] = []
    for line in _TABLE.strip().splitlines():
        name, *rest = line.split("|")
        city, names = cities[name]
        russian = _RUSSIAN_NAMES.get(name, city.russian)
        places.append(_place(len(places) + 1, (name, russian, city.russian, *names), city.zone, rest))
    for line in _NAMESAKES.strip().splitlines():
        name, russian, zone, *rest = line.split("|")
        places.append(_place(len(places) + 1, (name, russian), zone, rest))
    known = {plain(name) for place in places for name in place.names}
    for code, coordinates, zone in _zones():
        name = zone.rpartition("/")[2].replace("_", " ")
        if plain(name) not in known:
            latitude, longitude = _degrees(coordinates)
            places.append(Place(len(places) + 1, (name,), code, latitude, longitude, 0.0, zone))
    return tuple(places)


def _lies_in(place: Place, inside: str, country_code: str | None) -> bool:
    if country_code and place.country_code != country_code.upper():
        return False
    names = (place.country_code, place.country("en"), place.country("ru"), place.region)
    return not inside or inside in {plain(name) for name in names}


def _place(number: int, names: tuple[str, ...], zone: str, rest: list[str]) -> Place:
    code, latitude, longitude, elevation, thousands, region = rest
    return Place(
        id=number,
        names=names,
        country_code=code,
        latitude=float(latitude),
        longitude=float(longitude),
        elevation=float(elevation),
        zone=zone,
        population=int(thousands) * 1000,
        region=region,
    )


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
