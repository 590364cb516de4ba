"""WMO 4677 weather codes, as Open-Meteo uses them (open-meteo.com/en/docs), in words."""

_WORDS: dict[int, tuple[str, str]] = {
    0: ("clear sky", "ясно"),
    1: ("mainly clear", "преимущественно ясно"),
    2: ("partly cloudy", "переменная облачность"),
    3: ("overcast", "пасмурно"),
    45: ("fog", "туман"),
    48: ("freezing fog", "изморозь, туман"),
    51: ("light drizzle", "слабая морось"),
    53: ("drizzle", "морось"),
    55: ("heavy drizzle", "сильная морось"),
    56: ("light freezing drizzle", "слабая ледяная морось"),
    57: ("freezing drizzle", "ледяная морось"),
    61: ("light rain", "небольшой дождь"),
    63: ("rain", "дождь"),
    65: ("heavy rain", "сильный дождь"),
    66: ("light freezing rain", "слабый ледяной дождь"),
    67: ("freezing rain", "ледяной дождь"),
    71: ("light snow", "небольшой снег"),
    73: ("snow", "снег"),
    75: ("heavy snow", "сильный снег"),
    77: ("snow grains", "снежные зёрна"),
    80: ("light rain showers", "небольшой ливень"),
    81: ("rain showers", "ливень"),
    82: ("violent rain showers", "очень сильный ливень"),
    85: ("light snow showers", "небольшой снегопад"),
    86: ("snow showers", "сильный снегопад"),
    95: ("thunderstorm", "гроза"),
    96: ("thunderstorm with light hail", "гроза с небольшим градом"),
    99: ("thunderstorm with hail", "гроза с градом"),
}


def in_words(code: int | None, *, russian: bool) -> str | None:
    """The weather of a code; None for one that says nothing."""
    words = _WORDS.get(-1 if code is None else code)
    return None if words is None else words[russian]
