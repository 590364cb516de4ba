"""Small things with texts."""

import json
from typing import Any
from unicodedata import category

_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols without ink."""


def shorten(text: str, limit: int, note: str) -> str:
    """`text` cut to `limit` characters with `note` at its end, or as it is where it fits."""
    if len(text) <= limit:
        return text
    return text[: max(0, limit - len(note))] + note


def one_line(text: str, limit: int) -> str:
    """`text` without line breaks, control characters and angle brackets, at most `limit` characters."""
    clean = "".join(" " if ch in "<>" or not ch.isprintable() else ch for ch in text)
    return " ".join(clean.split())[:limit]


def compact_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """`value` as JSON text, for models: without spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def canonical_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """The same text for equal values, however their keys were ordered."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def well_formed(text: str) -> str:
    """`text` with U+FFFD in the place of each lone surrogate, which UTF-8 and pydantic refuse.

    Two halves of a pair that came one after the other are joined.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def is_blank(text: str) -> bool:
    """Whether nobody sees anything of it; Telegram refuses such a message."""
    return all(letter.isspace() or letter in _FILLERS or category(letter) in {"Cc", "Cf"} for letter in text)
