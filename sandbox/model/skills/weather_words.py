"""A forecast in sentences: now and today, one day, or a list of days."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from ..cities import find_cities
from ..dates import date_in_words
from ..turn import Turn

Fields = Mapping[str, Any]

_WET = re.compile(r"\brain\w*\b|\bsnow\w*\b|\bumbrella\b|дожд|снег|зонт", re.IGNORECASE)
_LIKELY, _UNLIKELY = 60, 30
"""Percent."""
_RUSSIAN_SIGNS = {"km/h": "км/ч", "mph": "миль/ч", "m/s": "м/с", "mm": "мм", "inch": "дюйма"}
_RUSSIAN_WINDS = {
    "N": "северный", "NE": "северо-восточный", "E": "восточный", "SE": "юго-восточный", "S": "южный",
    "SW": "юго-западный", "W": "западный", "NW": "северо-западный",
}  # fmt: skip
_RUSSIAN_SKIES = {
    "clear sky": "ясно", "mainly clear": "преимущественно ясно", "partly cloudy": "переменная облачность",
    "overcast": "пасмурно", "light drizzle": "слабая морось", "light rain": "небольшой дождь",
    "rain": "дождь", "heavy rain": "сильный дождь", "light snow": "небольшой снег", "snow": "снег",
    "heavy snow": "сильный снег", "thunderstorm": "гроза",
}  # fmt: skip
"""For a tool that answers in English to somebody who asks in Russian."""


def report(turn: Turn, answer: Fields, days: int, *, one_day: bool) -> str:
    """The answer for the place; with `one_day` only the last of `days`, else all of them."""
    rows = [day for day in answer["days"] if isinstance(day, dict)][:days]
    place = f"**{_place(turn, str(answer.get('location')))}**"
    units = answer.get("units")
    signs: Fields = units if isinstance(units, dict) else {}
    others = answer.get("other_places")
    if one_day and len(rows) == days:
        text = f"{place}, {_day(turn, rows[-1], signs)}"
        text = f"{_verdict(turn, rows[-1])}{text}"
    else:
        text = f"{_verdict(turn, rows[0]) if rows else ''}{place}: {_now(turn, answer['current'], signs)}"
        lines = [f"- {_day(turn, day, signs)}" for day in rows]
        text = "\n".join([text, "", *lines]) if lines else text
    if isinstance(others, list) and others:
        names = "; ".join(map(str, others))
        text += turn.pick(f"\n\nThere is also: {names}.", f"\n\nЕсть и другие: {names}.")
    return text


def _place(turn: Turn, label: str) -> str:
    """The label, or the Russian name of a city that was asked for in Russian and answered in English."""
    city = next((city for city in find_cities(turn.request) if label.startswith(city.english)), None)
    return city.russian if turn.russian and city else label


def _sky(turn: Turn, words: str) -> str:
    return _RUSSIAN_SKIES.get(words, words) if turn.russian else words


def _now(turn: Turn, current: Fields, signs: Fields) -> str:
    degrees = _sign(turn, signs, "temperature")
    parts = [f"**{_figure(turn, current.get('temperature'))} {degrees}**"]
    if "feels_like" in current:
        felt = f"{_figure(turn, current['feels_like'])} {degrees}"
        parts.append(turn.pick(f"feels like {felt}", f"ощущается как {felt}"))
    if "description" in current:
        parts.append(_sky(turn, str(current["description"])))
    if "wind_speed" in current:
        parts.append(_wind(turn, current, signs))
    if "humidity_percent" in current:
        humidity = _figure(turn, current["humidity_percent"])
        parts.append(turn.pick(f"humidity {humidity} %", f"влажность {humidity} %"))
    return f"{turn.pick('now', 'сейчас')} {', '.join(parts)}."


def _day(turn: Turn, day: Fields, signs: Fields) -> str:
    lowest, highest = _figure(turn, day.get("lowest")), _figure(turn, day.get("highest"))
    degrees = _sign(turn, signs, "temperature")
    span = turn.pick(f"{lowest} to {highest} {degrees}", f"от {lowest} до {highest} {degrees}")
    parts = [f"**{span}**"]
    if "description" in day:
        parts.append(_sky(turn, str(day["description"])))
    if "precipitation_chance_percent" in day:
        chance = _figure(turn, day["precipitation_chance_percent"])
        parts.append(turn.pick(f"chance of precipitation {chance} %", f"вероятность осадков {chance} %"))
    return f"{_name(turn, str(day.get('date')))}: {', '.join(parts)}."


def _wind(turn: Turn, current: Fields, signs: Fields) -> str:
    speed = f"{_figure(turn, current['wind_speed'])} {_sign(turn, signs, 'wind')}"
    source = str(current.get("wind_from") or "")
    if not source:
        return turn.pick(f"wind {speed}", f"ветер {speed}")
    return turn.pick(f"wind {speed} from the {source}", f"ветер {_RUSSIAN_WINDS.get(source, source)} {speed}")


def _verdict(turn: Turn, day: Fields) -> str:
    """Yes or no, where rain or snow is asked for."""
    chance = day.get("precipitation_chance_percent")
    if not _WET.search(turn.request) or not isinstance(chance, int | float):
        return ""
    if chance >= _LIKELY:
        return turn.pick("Probably yes. ", "Скорее да. ")
    if chance <= _UNLIKELY:
        return turn.pick("Probably not. ", "Скорее нет. ")
    return turn.pick("Perhaps. ", "Возможно. ")


def _name(turn: Turn, day: str) -> str:
    """`today`, `tomorrow`, or the date in words."""
    try:
        moment = datetime.combine(date.fromisoformat(day), time(), turn.now.tzinfo)
    except ValueError:
        return day
    days = (moment.date() - turn.now.date()).days
    if days in {0, 1}:
        return (turn.pick("today", "сегодня"), turn.pick("tomorrow", "завтра"))[days]
    return date_in_words(moment, russian=turn.russian)


def _figure(turn: Turn, value: object) -> str:
    """With a decimal comma and a real minus."""
    if not isinstance(value, int | float):
        return "?"
    text = f"{value:g}".replace("-", "−")
    return text.replace(".", ",") if turn.russian else text


def _sign(turn: Turn, signs: Fields, kind: str) -> str:
    sign = str(signs.get(kind) or "")
    return _RUSSIAN_SIGNS.get(sign, sign) if turn.russian else sign
