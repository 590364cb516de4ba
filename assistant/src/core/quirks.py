"""Where a model's provider departs from the protocol; one line a quirk, with its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Quirk:
    """Extra request fields for models whose name starts with `prefix`."""

    prefix: str
    fields: Mapping[str, Any]
    only_with_tools: bool = False


QUIRKS = (
    # its page on developers.openai.com: Chat Completions calls functions only without reasoning
    Quirk("gpt-6-luna", {"reasoning_effort": "none"}, only_with_tools=True),
)


def quirk_fields(model: str, *, with_tools: bool) -> dict[str, Any]:
    """Fields to add to a Chat Completions request for `model` (without provider prefix)."""
    fields: dict[str, Any] = {}
    for quirk in QUIRKS:
        if model.startswith(quirk.prefix) and (with_tools or not quirk.only_with_tools):
            fields |= quirk.fields
    return fields
