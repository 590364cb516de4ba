"""Calls of tools put together from the pieces of a streamed answer, however a server numbers them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...utils.text import compact_json
from ..providers import bounds
from ..wire.parsing import drop_surrogates
from ..wire.tool_calls import Call, RawCall, parse_json_values

_LONG = 2**16
"""Characters of arguments beyond which they are not read again to see whether they are whole."""


@dataclass(slots=True)
class PartialCall:
    """A call, as far as it has come."""

    index: int | None
    id: str
    name: str
    extras: dict[str, Any]
    _arguments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        self._arguments = ["".join(self._arguments)]
        return self._arguments[0]

    def add(self, arguments: object) -> int:
        """Add to the arguments; returns the characters."""
        text = "" if arguments is None else arguments
        if not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False)
        self._arguments.append(text)
        return len(text)

    @property
    def has_arguments(self) -> bool:
        """Whether they are whole already, and not the empty object that some servers begin with."""
        text = self.arguments.rstrip()
        if len(text) > _LONG or not text.endswith("}"):
            return False
        values = parse_json_values(text)
        return values is not None and any(values)

    def raw(self) -> RawCall:
        """The call as it came."""
        return RawCall(self.id, self.name, self.arguments)


class CallCollector:
    """The calls of one answer.

    `tools` are the names that the model may call, `extras` further fields of a call that are kept.
    """

    def __init__(self, tools: Collection[str] = (), extras: Collection[str] = ()) -> None:
        self._tools = tools
        self._extras = extras
        self.calls: list[PartialCall] = []

    def add(self, call: Call, *, whole: bool) -> int:
        """Add a `whole` call, or a piece of one; returns its characters."""
        known = None if whole else self._find_continued(call)
        name = call.function.name
        extras = {key: value for key, value in (call.model_extra or {}).items() if key in self._extras}
        if known is None:
            known = PartialCall(call.index, call.id, name, extras)
            self.calls.append(known)
            bounds.check_size(len(self.calls), bounds.CALLS, "tool calls")
        else:
            known.id = known.id or call.id
            known.extras |= extras
            if name != known.name:
                known.name = name if name in self._tools else known.name + name
        return known.add(call.function.arguments) + len(name) + (len(compact_json(extras)) if extras else 0)

    def _find_continued(self, piece: Call) -> PartialCall | None:
        """The call that `piece` belongs to; None: it begins one of its own.

        By the index; but there are servers that send whole calls and number them all 0, or not at all.
        """
        last = next((made for made in reversed(self.calls) if piece.index in {None, made.index}), None)
        if last is None or (piece.id and last.id and piece.id != last.id):
            return None
        name = piece.function.name
        if not name:
            return last
        if name == last.name:  # some repeat it in every piece, and some models call the same tool twice
            return None if last.has_arguments else last
        # names come in pieces too, before the arguments
        is_further_piece = last.name not in self._tools and not last.arguments.strip("{} \n")
        return last if is_further_piece else None


def extras_of(calls: Sequence[PartialCall], ids: Sequence[str]) -> Mapping[str, Any]:
    """What the provider wants back of each call, by the id that the call has now."""
    return {
        call_id: {name: drop_surrogates(value) for name, value in call.extras.items() if value}
        for call_id, call in zip(ids, calls, strict=True)
    }
