"""Time and date, here and elsewhere."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from ..cities import City, city_of_zone, find_cities
from ..conversation import Reply, Tool
from ..dates import date_in_words
from ..results import failure, moment_of, offset_of, plain_text, read_facts
from ..toolbox import Hints, call, find_tool
from ..turn import ToolResult, Turn

NAME = r"time|clock|date"
_DESCRIPTION = r"\b(current|local) (date and )?time\b|what time|текущее время|который час"
_ASKED = re.compile(
    r"what(?:'s|’s| is)?\s+(?:the\s+)?(?:current\s+|local\s+|exact\s+)?(?:time|date)\b|what time\b"
    r"|\btime is it\b"
    r"|\b(?:current|local) time\b|\btime (?:now )?(?:in|at)\s|what (?:day|date) is|today'?s date"
    r"|the time (?:now|please)"
    r"|^time\W*$"
    r"|котор\w+\s+(?:сейчас\s+|там\s+)?час|сколько\s+(?:сейчас\s+|там\s+|у нас\s+)*врем"
    r"|как\w+\s+(?:сейчас\s+|сегодня\s+|там\s+)*"
    r"(?:время|числ\w+|дата|день)|врем[яи]\w*\s+(?:сейчас\s+)?в[о]?\s|сегодняшн\w+ (?:дата|числ)"
    r"|точное время|^время\W*$",
    re.IGNORECASE,
)
_DATE = re.compile(r"\bdate\b|what day|числ|дата|какой\s+(?:сегодня\s+)?день", re.IGNORECASE)
_GIVEN = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_PLACE = re.compile(
    r"\btime\b.*\bin\s+([A-Za-z][\w .'-]{1,40})|(?:час|врем\w+)\b.*\bв[о]?\s+([А-ЯЁ][\w -]{1,40})"
)


def ask(turn: Turn) -> Reply | None:
    """A question for the time or the date."""
    if not _ASKED.search(turn.request):
        return None
    places = find_cities(turn.request)
    given = _GIVEN.search(turn.request)
    if not places and (unknown := _unknown_place(turn.request)):
        return turn.say(
            f"I do not know where {unknown} is: a demonstration model knows some hundred cities. Name a "
            "bigger "
            "city nearby, or a time zone such as `Europe/Berlin`.",
            f"Я не знаю, где это: «{unknown}». Демонстрационная модель знает около сотни городов. Назовите "
            "большой "
            "город поблизости или часовой пояс, например `Europe/Berlin`.",
        )
    tool = find_tool(turn.tools, NAME, _DESCRIPTION)
    if tool is None:
        return _from_context(turn, places)
    if given and len(places) == 2:
        source, target = places
        hints = Hints(
            zone=target.zone,
            from_zone=source.zone,
            clock=f"{int(given[1]):02}:{given[2]}",
            action=("convert",),
        )
        return Reply(calls=(call(tool, hints),))
    zones: list[str | None] = [place.zone for place in places]
    return Reply(calls=tuple(call(tool, _hints(tool, zone, turn)) for zone in zones or [turn.context.zone]))


def tell(turn: Turn, result: ToolResult) -> str | None:
    """The sentence for a clock's answer."""
    if not re.search(NAME, result.name, re.IGNORECASE):
        return None
    if failure(result.text) is not None:
        return None
    facts = read_facts(result.text)
    moment = moment_of(facts)
    if moment is None:
        return plain_text(result.text)
    zone = facts.get("timezone") or facts.get("time_zone") or facts.get("tz") or facts.get("zone")
    return _sentence(turn, moment, _find_place(turn, zone), zone, offset_of(facts, moment))


def _hints(tool: Tool, zone: str | None, turn: Turn) -> Hints:
    city = city_of_zone(zone).english if zone else None
    needs_zone = "timezone" in (tool.parameters.get("required") or ())
    return Hints(
        action=("now", "current", "get"),
        zone=zone or ((turn.context.zone or "UTC") if needs_zone else None),
        city=city,
        text=city or turn.request,
    )


def _find_place(turn: Turn, zone: str | None) -> City | None:
    return next((place for place in find_cities(turn.request) if place.zone == zone), None)


def _sentence(turn: Turn, moment: datetime, place: City | None, zone: str | None, offset: str | None) -> str:
    given = _GIVEN.search(turn.request)
    clock, day = f"{moment:%H:%M}", date_in_words(moment, russian=turn.russian)
    detail = ", ".join(part for part in (zone, offset) if part and part != "UTC")
    suffix = f" ({detail})" if detail else ""
    if place is not None:
        return turn.pick(
            f"In {place.english} it {'will be' if given else 'is'} **{clock}** on {day}{suffix}.",
            f"{_capital(place.russian_in)} {'будет' if given else 'сейчас'} **{clock}**, {day}{suffix}.",
        )
    if _DATE.search(turn.request):
        return turn.pick(
            f"Today is **{day}**; it is {clock}{suffix}.", f"Сегодня **{day}**; сейчас {clock}{suffix}."
        )
    return turn.pick(f"It is **{clock}** on {day}{suffix}.", f"Сейчас **{clock}**, {day}{suffix}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _from_context(turn: Turn, places: tuple[City, ...]) -> Reply:
    """Without a clock tool the message itself may tell the time."""
    if turn.context.now is None:
        return turn.say(
            "No time tool is connected to me, and I have no clock of my own.",
            "Ко мне не подключён инструмент времени, а своих часов у меня нет.",
        )
    if not places:
        return Reply(text=_sentence(turn, turn.now, None, turn.context.zone, None))
    lines = [
        _sentence(turn, turn.now.astimezone(ZoneInfo(place.zone)), place, place.zone, None)
        for place in places
    ]
    return Reply(text="\n".join(lines))


def _unknown_place(request: str) -> str | None:
    match = _PLACE.search(request)
    if match is None:
        return None
    place: str = (match[1] or match[2]).strip(" ?!.")
    return None if re.fullmatch(r"(?:my|the|your|this|мо|наш|это)\b.*", place, re.IGNORECASE) else place
