"""What the person said earlier in the same conversation."""

import re

from ..conversation import Reply
from ..turn import Turn

_TOLD = re.compile(
    r"\b(?:my name is|call me)\s+([A-Z\u00c0-\u024f][\w'’-]{0,40})|(?:меня зовут"
    r"|зови меня)\s+([А-ЯЁA-Z][\w-]{0,40})",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"what(?:'s|’s| is) my name|do you (?:know|remember) my name|who am i\b|как меня зовут"
    r"|ты помнишь,? как меня|кто я\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"what did i (?:just )?(?:say|ask|write)|my (?:last|previous) (?:message|question)|что я (?:только что "
    r"|до этого )?(?:сказал|спросил|написал|говорил|спрашивал)",
    re.IGNORECASE,
)


def ask(turn: Turn) -> Reply | None:
    """Names told and asked for, and the message before this one."""
    if _ASKED.search(turn.request):
        return _name(turn)
    if _BEFORE.search(turn.request):
        return _before(turn)
    name = _find_name(turn.request)
    if name:
        return turn.say(
            f"Nice to meet you, {name}! I will remember it in this conversation.",
            f"Приятно познакомиться, {name}! В этом разговоре я это запомню.",
        )
    return None


def _find_name(text: str) -> str | None:
    match = _TOLD.search(text)
    return (match[1] or match[2]) if match else None


def _name(turn: Turn) -> Reply:
    name = next((found for text in reversed(turn.earlier) if (found := _find_name(text))), None)
    if name:
        return turn.say(f"Your name is **{name}**: you told me.", f"Вас зовут **{name}**: вы сами сказали.")
    if turn.context.name:
        return turn.say(
            f"Telegram says your name is **{turn.context.name}**.",
            f"Telegram говорит, вас зовут **{turn.context.name}**.",
        )
    return turn.say(
        "You have not told me yet. Say: *My name is …*", "Вы ещё не говорили. Скажите: *Меня зовут …*"
    )


def _before(turn: Turn) -> Reply:
    if not turn.earlier:
        return turn.say("This is the first thing you said to me.", "Это первое, что вы мне сказали.")
    last = turn.earlier[-1][:500]
    return turn.say(f"Before this you said: “{last}”", f"До этого вы сказали: «{last}»")
