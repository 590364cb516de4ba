"""What a tool answered: JSON, `key: value` lines, or just a text."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

_LINE = re.compile(r"^\s*[-*•]?\s*([\w ]{2,24}?)\s*[:=]\s*(\S.*?)\s*$")
_FAILURE = re.compile(r"^\s*(?:tool )?(?:error|failed|invalid|ошибка)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?\b")
_OFFSET = re.compile(r"^(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d\d))?$")

Facts = Mapping[str, str]


def read_object(text: str) -> Mapping[str, Any]:
    """The JSON object that a tool answered; empty where the answer is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_facts(text: str) -> Facts:
    """Fields of a tool's answer by lower-case name; empty where it has none."""
    value = read_object(text)
    if value:
        return _flat(value)
    lines = [_LINE.match(line) for line in text.splitlines()]
    return {match[1].strip().lower().replace(" ", "_"): match[2] for match in lines if match}


def _flat(value: Mapping[str, object]) -> dict[str, str]:
    """Outer fields win over inner ones of the same name."""
    facts: dict[str, str] = {}
    inner: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            inner |= _flat({str(name): content for name, content in item.items()})
        elif isinstance(item, str | int | float) and not isinstance(item, bool):
            facts[str(key).lower()] = str(item)
    return inner | facts


def plain_text(text: str) -> str:
    """The words of a tool's answer: of a JSON object its answer field, otherwise the text as it is."""
    facts = read_facts(text) if text.lstrip().startswith("{") else {}
    for name in ("answer", "result", "text", "message", "content", "output", "reply"):
        if name in facts:
            return facts[name]
    return text.strip()


def failure(text: str) -> str | None:
    """Why the tool failed, None if it did not."""
    error = read_object(text).get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("type") or error)
    if text.lstrip().startswith("{"):
        facts = read_facts(text)
        found = facts.get("error") or facts.get("error_message")
        if found is None and facts.get("status", "").lower() in {"error", "failed", "invalid"}:
            found = facts.get("message", text)
        if found is not None:
            return facts.get("message", found)
        return None
    return text.strip() if _FAILURE.match(text) else None


def moment_of(facts: Facts) -> datetime | None:
    """The date and time that a clock's answer holds."""
    for name in (
        "datetime",
        "date_time",
        "iso",
        "now",
        "local_time",
        "local_datetime",
        "current_time",
        "time",
    ):
        moment = _parse(facts.get(name))
        if moment:
            return moment
    day, clock = facts.get("date"), _CLOCK.search(facts.get("time", "") or facts.get("local_time", ""))
    if day and clock:
        try:
            found = date.fromisoformat(day.strip())
        except ValueError:
            return None
        return datetime(found.year, found.month, found.day, int(clock[1]), int(clock[2]))  # noqa: DTZ001 - wall time of a zone that is shown beside it
    return None


def _parse(text: str | None) -> datetime | None:
    if not text or len(text) < len("2026-01-01T00:00"):
        return None
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def offset_of(facts: Facts, moment: datetime | None) -> str | None:
    """`UTC+09:00` for the answer's offset, None if it has none."""
    for name in ("utc_offset", "offset", "utcoffset"):
        match = _OFFSET.match(facts.get(name, ""))
        if match:
            return f"UTC{match[1]}{int(match[2]):02}:{match[3] or '00'}"
    if moment is not None and moment.tzinfo is not None:
        sign_and_digits = moment.strftime("%z")
        return f"UTC{sign_and_digits[:3]}:{sign_and_digits[3:5]}"
    return None
