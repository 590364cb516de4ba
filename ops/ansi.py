"""Telegram messages on a terminal: entities become ANSI styles.

Entity offsets count UTF-16 units (Bot API, MessageEntity).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

RESET = "\x1b[0m"
STYLES = {
    "bold": "\x1b[1m",
    "italic": "\x1b[3m",
    "underline": "\x1b[4m",
    "strikethrough": "\x1b[9m",
    "code": "\x1b[36m",
    "pre": "\x1b[36m",
    "blockquote": "\x1b[2m",
    "expandable_blockquote": "\x1b[2m",
    "text_link": "\x1b[4;34m",
    "url": "\x1b[4;34m",
    "bot_command": "\x1b[34m",
}


def safe(text: str) -> str:
    """`text` without control characters, which a terminal would obey."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def render(text: str, entities: Sequence[Mapping[str, Any]]) -> str:
    """`text` with the styles of its entities; a link's address follows its text in parentheses."""
    units = text.encode("utf-16-le")
    edges = {0, len(units) // 2}
    for entity in entities:
        edges |= {entity["offset"], entity["offset"] + entity["length"]}
    ordered = sorted(edge for edge in edges if 0 <= edge <= len(units) // 2)
    result: list[str] = []
    for start, end in pairwise(ordered):
        piece = safe(units[start * 2 : end * 2].decode("utf-16-le", errors="replace"))
        inside = [e for e in entities if e["offset"] <= start and end <= e["offset"] + e["length"]]
        style = "".join(STYLES.get(entity["type"], "") for entity in inside)
        result.append(f"{style}{piece}{RESET}" if style else piece)
        result += [
            f" ({safe(entity['url'])})"
            for entity in inside
            if entity["type"] == "text_link" and entity["offset"] + entity["length"] == end
        ]
    return "".join(result)
