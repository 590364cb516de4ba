"""Disables links that Telegram itself makes of a model's text, which an injected text could exploit.

Outside of code Telegram links `tg://…` and `ton://…` (one tap opens a chat, a proxy's settings, a payment)
and every `@name`. A look-alike character in place of the colon or the `@` keeps the text readable. It has the
same length, so the offsets of entities stay right.
"""

import re
from collections.abc import Sequence

from ..client.models import Entity

MOST_MENTIONS = 5
"""Different names in one reply. A reply that mentions more people is not written for its reader."""

_APP_LINK = re.compile(r"\b(?:tg|ton|tonsite)(:)(?=//)", re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w@./])(@)([A-Za-z][A-Za-z0-9_]{3,31})\b")
_LOOK_ALIKE = {":": "\uff1a", "@": "\uff20"}
"""The full-width forms."""

Marked = tuple[str, Sequence[Entity]]


def sanitize(messages: Sequence[Marked]) -> list[str]:
    """Disable links into Telegram's apps, and mentions where there are too many; returns the texts."""
    mentions = [_outside_of_code(_MENTION, message) for message in messages]
    names = {found[2].lower() for some in mentions for found in some}
    texts = []
    for message, some in zip(messages, mentions, strict=True):
        found = _outside_of_code(_APP_LINK, message) + (some if len(names) > MOST_MENTIONS else [])
        characters = list(message[0])
        for one in found:
            characters[one.start(1)] = _LOOK_ALIKE[one[1]]
        texts.append("".join(characters))
    return texts


def _outside_of_code(pattern: re.Pattern[str], message: Marked) -> list[re.Match[str]]:
    """The matches outside of code; Telegram links nothing in code."""
    text, entities = message
    matches = list(pattern.finditer(text))
    code = _code_ranges(text, entities) if matches else []
    return [found for found in matches if not any(found.start(1) in one for one in code)]


def _code_ranges(text: str, entities: Sequence[Entity]) -> list[range]:
    """The ranges of code, in characters."""
    wire = text.encode("utf-16-le", "surrogatepass")

    def characters(units: int) -> int:
        return len(wire[: units * 2].decode("utf-16-le", "surrogatepass"))

    return [
        range(characters(entity["offset"]), characters(entity["offset"] + entity["length"]))
        for entity in entities
        if entity["type"] in {"code", "pre"}
    ]
