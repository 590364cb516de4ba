"""Reminders, where a reminder tool is offered: set, list, change, cancel."""

import re
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ..cities import find_cities
from ..conversation import Reply, Tool
from ..dates import When, read_when, without_when
from ..results import failure, read_object
from ..toolbox import Hints, call, can, find_tool_to, takes
from ..turn import ToolResult, Turn
from .reminder_words import confirmation, listing

NAME = r"remind|напомин"
_CREATE = re.compile(
    r"\b(?:remind me|set (?:up )?a reminder|add a reminder|wake me)\b(?:\s+(?:to|about|that|for)\b)?"
    r"|\bнапом(?:ни|инай)\w*(?:\s+мне)?"
    r"|(?:создай|поставь|добавь)\s+напоминани\w+|разбуди\w*(?:\s+меня)?",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"\b(?:my|list|show|what)\b.*\breminders?\b|(?:мои|покажи|список|какие)\b.*\bнапоминани\w+", re.IGNORECASE
)
_CANCEL = re.compile(
    r"\b(?:cancel|delete|remove|stop)\b.*\breminders?\b|\b(?:отмени|удали|убери)\w*\b.*\bнапоминани\w+",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:change|move|postpone|reschedule)\b.*\breminder\b"
    r"|\b(?:перенеси|измени|поменяй|сдвинь|отложи)\w*\b.*\bнапоминани\w+",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:\breminder|\bнапоминани\w+|\bnumber|\bномер)\s*[#№]?\s*(\d{1,9})\b", re.IGNORECASE)
_ALL = re.compile(r"\ball\b|\bвсе\b", re.IGNORECASE)
_LISTING, _CREATING = ("list", "show", "get"), ("create", "add", "set")
_CANCELLING, _CHANGING = ("cancel", "delete", "remove"), ("change", "update", "edit", "move")
_STEM = 4
"""Letters of a word that its endings leave alone."""


def ask(turn: Turn) -> Reply | None:
    """A wish to be reminded, or to see or change the reminders."""
    cancelling, changing = _CANCEL.search(turn.request), _CHANGE.search(turn.request)
    listing_only = not cancelling and not changing and _LIST.search(turn.request)
    if not cancelling and not changing and not listing_only and not _CREATE.search(turn.request):
        return None
    tool = find_tool_to(turn.tools, NAME, write=not listing_only)
    if tool is None:
        return turn.say(
            "No reminder tool is connected to me yet, so I will not pretend to have set one.",
            "Инструмент напоминаний ко мне ещё не подключён, поэтому делать вид, что напомню, я не буду.",
        )
    if listing_only:
        return Reply(calls=(call(tool, Hints(action=_LISTING)),))
    if cancelling or changing:
        return _on_one(turn, tool, _CANCELLING if cancelling else _CHANGING)
    return _create(turn, tool)


def go_on(turn: Turn) -> Reply | None:
    """After the list: the call on the reminder that the user meant, where they gave no number."""
    cancelling = _CANCEL.search(turn.request)
    if not cancelling and not _CHANGE.search(turn.request):
        return None
    listed = next((result for result in turn.results if re.search(NAME, result.name, re.IGNORECASE)), None)
    tool = find_tool_to(turn.tools, NAME, write=True)
    reminders = read_object(listed.text).get("reminders") if listed else None
    if tool is None or not isinstance(reminders, list):
        return None
    known = [one for one in reminders if isinstance(one, dict) and isinstance(one.get("id"), int)]
    meant = [one["id"] for one in known if _is_meant(turn.request, str(one.get("text", "")))]
    if cancelling and _ALL.search(turn.request):
        meant = [one["id"] for one in known]
    elif len(meant) != 1:
        return None
    when = None if cancelling else read_when(turn.request, _now(turn))
    actions = _CANCELLING if cancelling else _CHANGING
    calls = tuple(call(tool, _add_time(turn, tool, when, Hints(action=actions, number=one))) for one in meant)
    return Reply(calls=calls) if calls else None


def tell(turn: Turn, result: ToolResult) -> str | None:
    """What the tool says, never what was wished."""
    if not re.search(NAME, result.name, re.IGNORECASE) or failure(result.text) is not None:
        return None
    answer = read_object(result.text)
    reminders = answer.get("reminders")
    if isinstance(reminders, list):
        which = turn.pick("Which one do you mean? ", "Какое именно? ") if reminders and _unclear(turn) else ""
        return which + listing(turn, reminders, answer.get("not_shown"))
    return confirmation(turn, answer, result.text)


def _unclear(turn: Turn) -> bool:
    return bool(_CANCEL.search(turn.request) or _CHANGE.search(turn.request))


def _on_one(turn: Turn, tool: Tool, actions: tuple[str, ...]) -> Reply:
    """Cancel or change: by number at once, otherwise after a look at the list."""
    if not can(tool, *actions):
        return turn.say(
            "The reminder tool that is connected to me cannot do that.",
            "Подключённый ко мне инструмент напоминаний этого не умеет.",
        )
    when = None if actions is _CANCELLING else read_when(turn.request, _now(turn))
    if actions is _CHANGING and when is None:
        return turn.say(
            "To which time? For example: *Move reminder 3 to 18:30*.",
            "На какое время? Например: *Перенеси напоминание 3 на завтра в 18:30*.",
        )
    if when is not None and (asked := _ask_for_zone(turn, when)):
        return asked
    number = _NUMBER.search(turn.request)
    if number is None:
        return Reply(calls=(call(tool, Hints(action=_LISTING)),))
    hints = Hints(action=actions, number=int(number[1]))
    return Reply(calls=(call(tool, _add_time(turn, tool, when, hints)),))


def _create(turn: Turn, tool: Tool) -> Reply:
    when = read_when(turn.request, _now(turn))
    if when is None:
        return turn.say(
            "When? For example: *Remind me in 10 minutes to drink tea*, or *… tomorrow at 9 …*.",
            "Когда? Например: *Напомни через 10 минут выпить чаю* или *… завтра в 9 …*.",
        )
    if asked := _ask_for_zone(turn, when):
        return asked
    words = turn.request if turn.context.zone else _without_city(turn.request)
    subject = re.sub(r"^(?:to|about|that|о том,? что|о|про)\s+", "", without_when(_CREATE.sub(" ", words)))
    text = subject or turn.pick("Reminder", "Напоминание")
    hints = Hints(text=text, title=text, action=_CREATING)
    return Reply(calls=(call(tool, _add_time(turn, tool, when, hints)),))


def _ask_for_zone(turn: Turn, when: When) -> Reply | None:
    """A clock time means nothing to somebody whose zone nobody knows."""
    if when.relative or turn.context.zone or turn.context.now is None or find_cities(turn.request):
        return None
    return turn.say(
        "In which city is that? I do not know your time zone yet. Name the city with it, as in *Remind me "
        "tomorrow at 9 in Berlin to call mom*, or set it once with /timezone.",
        "В каком это городе? Вашего часового пояса я ещё не знаю. Назовите город: *Напомни завтра в 9 в "
        "Берлине позвонить маме*, или задайте пояс один раз командой /timezone.",
    )


def _find_zone(turn: Turn) -> str | None:
    """The zone of a city in the request, where the user's own is not known."""
    cities = () if turn.context.zone else find_cities(turn.request)
    return cities[0].zone if cities else None


def _now(turn: Turn) -> datetime:
    """In the zone that the wish is meant in."""
    zone = _find_zone(turn)
    return turn.now.astimezone(ZoneInfo(zone)) if zone else turn.now


def _add_time(turn: Turn, tool: Tool, when: When | None, hints: Hints) -> Hints:
    """`hints` with the time in the one form that suits it: minutes from now, a moment, or a pattern."""
    if when is None:
        return hints
    # the user's own zone needs no word
    zone = _find_zone(turn)
    if when.at is None:
        return replace(hints, cron=when.cron, zone=zone)
    if takes(tool, "minutes") and (when.relative or not takes(tool, "start")):
        return replace(hints, minutes=max(1, round((when.at - turn.now).total_seconds() / 60)))
    # a tool that asks for the zone wants local time
    local = when.at.replace(tzinfo=None) if takes(tool, "zone") else when.at
    start = local.isoformat(timespec="seconds")
    return replace(hints, start=start, clock=f"{when.at:%H:%M}", zone=zone)


def _without_city(text: str) -> str:
    """`text` without the place that only tells the zone."""
    for city in find_cities(text)[:1]:
        text = re.sub(
            rf"\bin {re.escape(city.english)}\b|\b{re.escape(city.russian_in)}\b",
            " ",
            text,
            flags=re.IGNORECASE,
        )
    return text


def _is_meant(request: str, text: str) -> bool:
    """Whether a word of the reminder stands in the request."""
    words = {word[:_STEM] for word in re.findall(r"\w{3,}", text.lower())}
    return bool(words & {word[:_STEM] for word in re.findall(r"\w{3,}", request.lower())})
