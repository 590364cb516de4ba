"""Notes on a conversation's oldest part, when the suite asks for them instead of the person.

A real model would write down what matters; this one keeps the person's own words, the newest of them.
"""

import re

from ..conversation import Message, Reply
from ..results import read_object
from ..turn import Turn, split_context

_KEEPER = re.compile(r"^\s*You keep the notes of an assistant\b", re.IGNORECASE)
LONGEST_LINE = 160
LINES_KEPT = 30


def ask(turn: Turn) -> Reply | None:
    """The notes so far, and under them what the person said since."""
    if not _KEEPER.search(turn.system):
        return None
    material = read_object(turn.request)
    notes, conversation = material.get("notes"), material.get("conversation")
    lines = notes.splitlines() if isinstance(notes, str) else []
    for one in conversation if isinstance(conversation, list) else ():
        said = one.get("person") if isinstance(one, dict) else None
        if isinstance(said, str) and (words := " ".join(split_context(Message("user", (said,)))[1].split())):
            lines.append(f"- {words[:LONGEST_LINE]}")
    kept = "\n".join(lines[-LINES_KEPT:])
    return Reply(text=kept or turn.pick("Nothing worth a note.", "Записывать нечего."))
