"""Dates in words, and times and days out of words, in English and Russian."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS_EN = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTHS_RU = (
    "января", "февраля", "марта", "апреля", "мая", "июня",
    "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
_DAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_RU = ("понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье")
_DAY_STEMS = (
    r"mon(?:day)?s?|понедельник\w*", r"tue(?:sday)?s?|вторник\w*", r"wed(?:nesday)?s?|сред[уыае]\w*",
    r"thu(?:rsday)?s?|четверг\w*", r"fri(?:day)?s?|пятниц\w*", r"sat(?:urday)?s?|суббот\w*",
    r"sun(?:day)?s?|воскресень\w*",
)  # fmt: skip
_UNITS = (
    (r"sec(?:ond)?s?|секунд\w*", 1),
    (r"min(?:ute)?s?|минут\w*|мин\b", 60),
    (r"h(?:our)?s?|hrs?|час\w*", 3600),
    (r"days?|дн\w+|день|сут\w+", 86400),
    (r"weeks?|недел\w+", 604800),
)
_NUMBER = r"(\d{1,4}|an?|one|half an?|полчаса|пол|один|одну)"
_RELATIVE = re.compile(
    rf"\b(?:in|after|через)\s+(?:{_NUMBER}\s*)?({'|'.join(unit for unit, _s in _UNITS)})?(?![\w])",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?:at|в|к|by|@)\s+(\d{1,2})(?:[:.](\d\d))?\s*(am|pm|a\.m\.|p\.m\.|утра|вечера|дня|ночи)?(?![\d-])"
    r"|\b(\d{1,2}):(\d\d)\s*(am|pm|утра|вечера|дня|ночи)?\b|\b(\d{1,2})\s*(am|pm)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\b(noon|midnight|полдень|полночь|morning|evening|утром|вечером)\b", re.IGNORECASE)
_WORD_HOURS = {
    "noon": 12, "полдень": 12, "midnight": 0, "полночь": 0,
    "morning": 9, "утром": 9, "evening": 19, "вечером": 19,
}  # fmt: skip
_DAY_AFTER = re.compile(r"day after tomorrow|послезавтра", re.IGNORECASE)
_TOMORROW = re.compile(r"\btomorrow\b|(?<!после)\bзавтра\w*", re.IGNORECASE)
_EVERY = re.compile(
    r"\b(?:every|each|daily|weekdays?|weekly|hourly|кажд\w+|ежедневно|еженедельно|ежечасно|по будням)\b",
    re.IGNORECASE,
)
_WEEKDAYS_ONLY = re.compile(r"weekdays?\b|workdays?\b|будн\w+|рабоч\w+ д", re.IGNORECASE)
_SIMPLE_CRON = re.compile(r"(?P<minute>\d{1,2}) (?P<hour>\d{1,2}) \* \* (?P<days>\*|1-5|[0-7](?:,[0-7])*)")
_HOURLY = re.compile(r"every hour|hourly|каждый час|ежечасно", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class When:
    """A time that somebody named: once `at`, or again and again by `cron` (five fields)."""

    at: datetime | None
    cron: str | None = None
    relative: bool = False
    """Counted from now: `in ten minutes`."""


def date_in_words(moment: datetime, *, russian: bool) -> str:
    """`Sunday, 22 November 2026` or `воскресенье, 22 ноября 2026 года`."""
    if russian:
        return f"{_DAYS_RU[moment.weekday()]}, {moment.day} {_MONTHS_RU[moment.month - 1]} {moment.year} года"
    return f"{_DAYS_EN[moment.weekday()]}, {moment.day} {_MONTHS_EN[moment.month - 1]} {moment.year}"


def day_and_time(moment: datetime, now: datetime, *, russian: bool) -> str:
    """`today at 10:40`, `tomorrow at 09:00`, `on Friday, 27 November 2026 at 18:00`."""
    days = (moment.date() - now.date()).days
    if days in {0, 1}:
        near = (("today", "сегодня"), ("tomorrow", "завтра"))[days][russian]
    else:
        near = f"{'' if russian else 'on '}{date_in_words(moment, russian=russian)}"
    return f"{near} {'в' if russian else 'at'} {moment:%H:%M}"


def cron_in_words(cron: str, *, russian: bool) -> str:
    """The patterns that this model writes, in words; any other as it is, as code."""
    match = _SIMPLE_CRON.fullmatch(cron)
    if cron == "0 * * * *":
        return "каждый час" if russian else "every hour"
    if match is None:
        return f"`{cron}`"
    clock = f"{int(match['hour']):02}:{int(match['minute']):02}"
    names = _DAYS_RU if russian else _DAYS_EN
    if match["days"] == "*":
        days = "каждый день" if russian else "every day"
    elif match["days"] == "1-5":
        days = "по будням" if russian else "every weekday"
    else:
        chosen = [names[(int(day) - 1) % 7] for day in match["days"].split(",")]
        days = f"{'по дням:' if russian else 'every'} {', '.join(chosen)}"
    return f"{days} {'в' if russian else 'at'} {clock}"


def weekday_names(*, russian: bool) -> tuple[str, ...]:
    """Monday first."""
    return _DAYS_RU if russian else _DAYS_EN


def read_when(text: str, now: datetime) -> When | None:
    """The time that `text` names, seen from `now` (aware, in the user's zone); None if it names none."""
    hour, minute = _clock(text) or (9, 0)
    if _EVERY.search(text):
        return When(at=None, cron=_cron(text, hour, minute))
    delta = _relative(text)
    if delta is not None:
        return When(at=_shift(now, delta), relative=True)
    day = _day(text, now)
    if day is None and _clock(text) is None:
        return None
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if day is not None:
        return When(at=_shift(moment, timedelta(days=day)))
    return When(at=moment if moment > now else _shift(moment, timedelta(days=1)))


def without_when(text: str) -> str:
    """`text` without the words that name its time: what the reminder is about."""
    rest = text
    for pattern in (_RELATIVE, _CLOCK, _DAY_AFTER, _TOMORROW, _WORDS):
        rest = pattern.sub(" ", rest, count=1)
    if _EVERY.search(rest):
        rest = re.sub(
            r"\b(?:every|each|кажд\w+|по)\s+(?:\w+)|\b(?:daily|weekly|hourly|ежедневно|еженедельно|ежечасно)\b",
            " ", rest, count=1, flags=re.IGNORECASE,
        )  # fmt: skip
    rest = re.sub(rf"\b(?:on|next|в|во)\s+(?:{'|'.join(_DAY_STEMS)})\b", " ", rest, flags=re.IGNORECASE)
    rest = re.sub(r"\b(?:today|tonight|сегодня)\b", " ", rest, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", rest).strip(" ,.;:!-—")


def _shift(moment: datetime, delta: timedelta) -> datetime:
    """`moment + delta`, or the last representable moment where that lies beyond the calendar."""
    try:
        return moment + delta
    except OverflowError:
        return moment


def _clock(text: str) -> tuple[int, int] | None:
    match = _CLOCK.search(text)
    if match:
        hour = int(match[1] or match[4] or match[7])
        minute = int(match[2] or match[5] or 0)
        half = (match[3] or match[6] or match[8] or "").lower().replace(".", "")
        if half in {"pm", "вечера", "дня"} and hour < 12:
            hour += 12
        if half in {"am", "утра", "ночи"} and hour == 12:
            hour = 0
        return (hour, minute) if hour < 24 and minute < 60 else None
    word = _WORDS.search(text)
    return (_WORD_HOURS[word[1].lower()], 0) if word else None


def _relative(text: str) -> timedelta | None:
    match = _RELATIVE.search(text)
    if match is None or not (match[1] or match[2]):
        return None
    amount, unit = (match[1] or "1").lower(), (match[2] or "").lower()
    if amount == "полчаса" or amount.startswith("half"):
        return timedelta(minutes=30)
    seconds = next((size for pattern, size in _UNITS if unit and re.fullmatch(pattern, unit)), None)
    if seconds is None:
        return None
    return timedelta(seconds=seconds * (int(amount) if amount.isdigit() else 1))


def _day(text: str, now: datetime) -> int | None:
    """Days from today."""
    if _DAY_AFTER.search(text):
        return 2
    if _TOMORROW.search(text):
        return 1
    for number, stem in enumerate(_DAY_STEMS):
        if re.search(rf"\b(?:on|next|в|во)\s+(?:{stem})\b", text, re.IGNORECASE):
            return (number - now.weekday() - 1) % 7 + 1
    return None


def _cron(text: str, hour: int, minute: int) -> str:
    if _HOURLY.search(text):
        return "0 * * * *"
    if _WEEKDAYS_ONLY.search(text):
        return f"{minute} {hour} * * 1-5"
    days = [
        str((number + 1) % 7)
        for number, stem in enumerate(_DAY_STEMS)
        if re.search(rf"\b(?:{stem})\b", text, re.IGNORECASE)
    ]
    return f"{minute} {hour} * * {','.join(days) or '*'}"
