"""The calendar, where calendar tools are offered."""

import re
from datetime import timedelta

from ..conversation import Reply
from ..dates import read_when, without_when
from ..results import failure, plain_text
from ..toolbox import Hints, call, find_tool_to
from ..turn import ToolResult, Turn

NAME = r"calendar|event|календар"
_ABOUT = re.compile(
    r"\bcalendar\b|\bmy (?:schedule|agenda|events|meetings|appointments)\b|what do i have (?:today|tomorrow"
    r"|on)"
    r"|календар\w*|мо[её] расписани\w+|мои (?:встречи|события)|что у меня (?:сегодня|завтра|запланировано)"
    r"|\b(?:schedule|book|add|create) (?:an?|the) (?:meeting|event|appointment|call)\b"
    r"|(?:назначь|запланируй|добавь|создай)\s+(?:встреч\w+|событи\w+|звонок)",
    re.IGNORECASE,
)
_CREATE = re.compile(
    r"\b(?:schedule|book|add|create|put)\b(?:\s+(?:an?|the|my))?|\b(?:назначь|запланируй|добавь|создай|запиши)\w*",
    re.IGNORECASE,
)
_CALENDAR_WORDS = re.compile(r"\b(?:to|in|into|on) my calendar\b|\bв (?:мой )?календар\w*", re.IGNORECASE)


def ask(turn: Turn) -> Reply | None:
    """What is on, or a new event."""
    if not _ABOUT.search(turn.request):
        return None
    creating = bool(_CREATE.search(turn.request))
    tool = find_tool_to(turn.tools, NAME, write=creating)
    if tool is None:
        return turn.say(
            "No calendar tool is connected to me yet.", "Инструмент календаря ко мне ещё не подключён."
        )
    when = read_when(turn.request, turn.now)
    if not creating:
        start = turn.now.replace(hour=0, minute=0, second=0, microsecond=0)
        if when and when.at:
            start = when.at.replace(hour=0, minute=0)
        hints = Hints(
            action=("list", "read", "get"),
            start=start.isoformat(),
            end=(start + timedelta(days=1)).isoformat(),
            days=1,
            zone=turn.context.zone,
        )
        return Reply(calls=(call(tool, hints),))
    if when is None or when.at is None:
        return turn.say(
            "When? For example: *Schedule a meeting with Bob tomorrow at 15:00*.",
            "Когда? Например: *Назначь встречу с Борисом завтра в 15:00*.",
        )
    title = without_when(_CALENDAR_WORDS.sub(" ", _CREATE.sub(" ", turn.request, count=1)))
    hints = Hints(
        action=("create", "add"),
        title=title or turn.pick("Event", "Событие"),
        start=when.at.isoformat(),
        end=(when.at + timedelta(hours=1)).isoformat(),
        minutes=60,
        zone=turn.context.zone,
    )
    return Reply(calls=(call(tool, hints),))


def tell(_turn: Turn, result: ToolResult) -> str | None:
    """The tool's own answer."""
    if not re.search(NAME, result.name, re.IGNORECASE) or failure(result.text) is not None:
        return None
    return plain_text(result.text)
