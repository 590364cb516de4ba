"""Handing a planning request to a sub-assistant, and relaying what it says."""

import re

from ..conversation import Reply
from ..results import failure, plain_text
from ..toolbox import DELEGATE_PREFIX, Hints, call, find_delegate
from ..turn import ToolResult, Turn

PLANNING = re.compile(
    r"\bplan(?:s|ning)?\b(?!\w)|\borgani[sz]e (?:my|a|the|our)\b|\bbreak (?:it |this )?down\b"
    r"|\bstep[- ]by[- ]step\b|\bto-?do list\b"
    r"|(?:с|рас|за)?планир(?:у|ова)\w+|\bплан\b|\bплан\w{0,2}\s|составь (?:мне )?(?:план|расписание|список)"
    r"|разбей на шаги|по шагам",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    r"\b(?:ask|tell|delegate to|let)\s+(?:the\s+|my\s+)?(?P<who>[A-Za-z][\w-]{1,30})(?:\s+(?:to|about|for"
    r"|that))?[\s,:]+(?P<what>.+)"
    r"|(?:спроси|попроси|поручи|передай)\w*\s+(?:у\s+)?(?P<кто>[А-Яа-яЁёA-Za-z][\w-]{1,30})[\s,:]+(?P<что>.+)",
    re.IGNORECASE | re.DOTALL,
)
_PLANNER = r"plan|планиров|план"
_RUSSIAN_STEM = 6
"""Letters of a Russian name that its case endings leave alone: планировщик, планировщика."""


def ask(turn: Turn) -> Reply | None:
    """A request for a plan, or one addressed to a sub-assistant by name."""
    addressed = _ADDRESSED.search(turn.request)
    if addressed:
        who, what = addressed["who"] or addressed["кто"], addressed["what"] or addressed["что"]
        reply = _to_named(turn, who, what)
        if reply is not None:
            return reply
    if not PLANNING.search(turn.request):
        return None
    tool = find_delegate(turn.tools, _PLANNER)
    if tool is None:
        return turn.say(
            "Plans are the Planner's work, and no such sub-assistant is connected to me. An administrator "
            "can add "
            "one in the Swagger UI: an assistant, a tool of type `sub_assistant`, and a link.",
            "Планы составляет планировщик, а такой помощник ко мне не подключён. Администратор может "
            "добавить его в "
            "Swagger UI: ассистента, инструмент типа `sub_assistant` и связь.",
        )
    return Reply(calls=(call(tool, Hints(text=turn.request, title=turn.request)),))


def _to_named(turn: Turn, who: str, what: str) -> Reply | None:
    stem = who.lower()[:_RUSSIAN_STEM] if re.search("[а-яё]", who, re.IGNORECASE) else who.lower()
    words = _PLANNER if stem.startswith("планир") else re.escape(stem)
    tool = find_delegate(turn.tools, words)
    if tool is None:
        return None
    return Reply(calls=(call(tool, Hints(text=what.strip(), title=what.strip())),))


def tell(turn: Turn, result: ToolResult) -> str | None:
    """What the sub-assistant said, with its name."""
    if not result.name.lower().startswith(DELEGATE_PREFIX) or failure(result.text) is not None:
        return None
    name = result.name[len(DELEGATE_PREFIX) :].replace("_", " ").strip().capitalize()
    answer = plain_text(result.text)
    is_planner = bool(re.fullmatch(r"(?:the )?planner", name, re.IGNORECASE))
    return turn.pick(
        f"I asked the {name}. Its answer:\n\n{answer}",
        f"{'Планировщик' if is_planner else name} отвечает:\n\n{answer}",
    )
