"""The wait that a server asks for, in its headers or in words."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_WAITS = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0))
"""Headers that ask for a wait (the first two: OpenAI, Azure), and their units in seconds."""

_WAIT_IN_WORDS = re.compile(
    r"\b(?:try again|retry) (?:in|after) ((?:\d{1,9}(?:\.\d{1,12})? ?(?:ms|[smh])(?:[a-z]{1,8})?,? ?){1,4})"
)
"""OpenAI and Groq: "Please try again in 1m6.5s"; Gemini: "Please retry in 34.07s"."""
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|[smh])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` (seconds or a date, RFC 9110 10.2.3) or its like in milliseconds asks for.

    A date is compared with the server's own `Date`, for its clock may differ from ours. None where it is
    nothing usable: then the usual backoff waits.
    """
    for name, unit in _WAITS:
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now or _date(headers.get("date", "")) or datetime.now(UTC))
        if 0 <= seconds < 1e6:
            return seconds
    return None


def read_wait_in_words(message: str) -> float | None:
    """The wait in seconds that a message, in small letters, asks for; None: none."""
    wait = _WAIT_IN_WORDS.search(message)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(wait[1])) if wait else None


def _until(date: str, now: datetime) -> float:
    """Seconds until a date, negative where it is over; NaN for anything but a date."""
    then = _date(date)
    return (then - now).total_seconds() if then else float("nan")


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
