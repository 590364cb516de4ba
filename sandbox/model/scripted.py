"""The model itself: which skill answers, and how results of tools become sentences.

A pure function: the same messages, tools and time give the same reply. It never raises, whatever
the texts are.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from .conversation import Message, Reply, Tool
from .results import failure, plain_text, read_object
from .skills import (
    calendar,
    clock,
    delegation,
    memory,
    notes,
    planner,
    reminders,
    showcase,
    smalltalk,
    weather,
)
from .turn import ToolResult, Turn, read_turn

CHARACTERS_READ = 2000
"""Of a request; what is repeated is repeated whole."""

_SKILLS = (
    reminders.ask,
    calendar.ask,
    delegation.ask,
    weather.ask,
    clock.ask,
    showcase.ask,
    memory.ask,
    smalltalk.ask,
    showcase.say,
)
_PLANNER_SKILLS = (planner.ask, weather.ask, clock.ask, memory.ask)
_TELLERS = (delegation.tell, reminders.tell, calendar.tell, weather.tell, clock.tell)

_BEGIN = re.compile(
    r"\b(?:begin|start) (?:every|each|all|your|any)(?: of your)? (?:answers?|repl(?:y|ies)|messages?"
    r"|responses?) with\s*:?\s*"
    r"[\"“«']([^\"”»'\n]{1,200})[\"”»']"
    r"|начинай (?:кажд\w+ |все |любой |свои |свой )*(?:ответ\w*|сообщени\w+) (?:с"
    r"|со слов\w*)\s*:?\s*[\"“«']([^\"”»'\n]{1,200})[\"”»']",
    re.IGNORECASE,
)
_END = re.compile(
    r"\b(?:end|finish|close) (?:every|each|all|your|any)(?: of your)? (?:answers?|repl(?:y|ies)|messages?"
    r"|responses?) with\s*:?\s*"
    r"[\"“«']([^\"”»'\n]{1,200})[\"”»']"
    r"|заканчивай (?:кажд\w+ |все |любой |свои |свой )*(?:ответ\w*|сообщени\w+) (?:словами?"
    r"|на)?\s*:?\s*[\"“«']([^\"”»'\n]{1,200})[\"”»']",
    re.IGNORECASE,
)


def answer(messages: Sequence[Message], tools: Sequence[Tool], now: datetime) -> Reply:
    """The reply to a conversation: a text in the user's language, or calls of `tools`.

    `now` is aware; it counts only where the conversation does not tell the time.
    """
    turn = read_turn(messages, tools, now)
    reply = (reminders.go_on(turn) or _relay(turn)) if turn.results else _think(turn)
    return reply if reply.calls else Reply(text=_as_instructed(reply.text, turn.system))


def _think(turn: Turn) -> Reply:
    whole = notes.ask(turn) or showcase.repeat(turn)
    if whole is not None:
        return whole
    # the skills' patterns are slow on a long text; what is repeated was taken whole above
    turn = replace(turn, request=turn.request[:CHARACTERS_READ])
    is_planner = planner.is_planner(turn.system)
    for skill in _PLANNER_SKILLS if is_planner else _SKILLS:
        reply = skill(turn)
        if reply is not None:
            return reply
    return planner.plan(turn) if is_planner else smalltalk.fallback(turn)


def _relay(turn: Turn) -> Reply:
    """The results of this turn's calls as sentences, and once at the end whom the data are from."""
    lines = [_sentence(turn, result) for result in turn.results]
    sentences = ("\n\n" if any("\n" in one for one in lines) else "\n").join(lines)
    sources = [read_object(result.text).get("attribution") for result in turn.results]
    named = "\n".join(
        dict.fromkeys(f"_{source}_" for source in sources if source and isinstance(source, str))
    )
    return Reply(text=f"{sentences}\n\n{named}" if named else sentences)


def _sentence(turn: Turn, result: ToolResult) -> str:
    # the first that recognises its own kind of result
    for tell in _TELLERS:
        text = tell(turn, result)
        if text:
            return text
    reason = failure(result.text)
    if reason is not None:
        return turn.pick(f"That did not work: {reason}", f"Не получилось: {reason}")
    return plain_text(result.text) or turn.pick(
        "Done; the tool had nothing to say.", "Готово; инструмент ничего не ответил."
    )


def _as_instructed(text: str, system: str) -> str:
    """Obey the two instructions that the model understands, so that an edit of them is seen at once."""
    begin, end = _BEGIN.search(system), _END.search(system)
    before = f"{begin[1] or begin[2]} " if begin else ""
    after = f"\n{end[1] or end[2]}" if end else ""
    return f"{before}{text}{after}"
