"""Reminders, where a reminder tool is offered."""

import re

from ..conversation import Reply, Tool
from ..dates import date_in_words, read_when, without_when
from ..results import failure, plain_text
from ..toolbox import Hints, call, find_tool_to
from ..turn import ToolResult, Turn

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


def ask(turn: Turn) -> Reply | None:
    """A wish to be reminded, or to see the reminders."""
    listing, creating = _LIST.search(turn.request), _CREATE.search(turn.request)
    if not listing and not creating:
        return None
    tool = find_tool_to(turn.tools, NAME, write=not listing)
    if tool is None:
        return turn.say(
            "No reminder tool is connected to me yet, so I will not pretend to have set one.",
            "Инструмент напоминаний ко мне ещё не подключён, поэтому делать вид, что напомню, я не буду.",
        )
    if listing:
        return Reply(calls=(call(tool, Hints(action=("list", "show", "get"))),))
    return _create(turn, tool)


def _create(turn: Turn, tool: Tool) -> Reply:
    when = read_when(turn.request, turn.now)
    if when is None:
        return turn.say(
            "When? For example: *Remind me in 10 minutes to drink tea*, or *… tomorrow at 9 …*.",
            "Когда? Например: *Напомни через 10 минут выпить чаю* или *… завтра в 9 …*.",
        )
    subject = re.sub(
        r"^(?:to|about|that|о том,? что|о|про)\s+", "", without_when(_CREATE.sub(" ", turn.request))
    )
    text = subject or turn.pick("Reminder", "Напоминание")
    minutes = max(1, round((when.at - turn.now).total_seconds() / 60)) if when.at else None
    return Reply(
        calls=(
            call(
                tool,
                Hints(
                    text=text,
                    title=text,
                    action=("create", "add", "set"),
                    start=when.at.isoformat(timespec="seconds") if when.at else None,
                    clock=f"{when.at:%H:%M}" if when.at else None,
                    cron=when.cron,
                    minutes=minutes,
                    zone=turn.context.zone,
                ),
            ),
        )
    )


def tell(turn: Turn, result: ToolResult) -> str | None:
    """The confirmation is made of the tool's own answer, never of the wish."""
    if not re.search(NAME, result.name, re.IGNORECASE) or failure(result.text) is not None:
        return None
    answer = plain_text(result.text)
    when = read_when(turn.request, turn.now)
    if when is None or when.at is None or _LIST.search(turn.request):
        return answer
    day = date_in_words(when.at, russian=turn.russian)
    return turn.pick(
        f"Done: {answer}\n\n({when.at:%H:%M}, {day})", f"Готово: {answer}\n\n({when.at:%H:%M}, {day})"
    )
