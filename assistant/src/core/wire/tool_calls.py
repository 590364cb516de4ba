"""The calls in a model's answer, as servers of every protocol write them, in one form."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from ...utils.text import well_formed
from ..model import ToolCall
from ..providers import bounds
from .lenient_json import parse_lenient_object
from .parsing import Index, Wire, Word, drop_surrogates, first_object

_TO_MEND = re.compile(r"\\u[dD]|[\x00-\x1f]")
"""Perhaps half of a character, or a line break within a text, which JSON does not allow."""
_ARGUMENTS = ("arguments", "parameters", "input")
"""Names of the arguments, the usual one first."""
_BROKEN = "{"
"""Arguments that are not JSON: the model is told so."""


class Function(Wire):
    """The name and the arguments of a call; a piece may hold a part of either."""

    name: Word = ""
    arguments: Any = None


class Call(Wire):
    """A call of a tool, or a piece of one."""

    model_config = ConfigDict(extra="allow")
    index: Index = None
    id: Word = ""
    function: Function = Field(default_factory=Function)

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Some servers put name and arguments beside the id, or call the arguments otherwise."""
        if isinstance(value.get("function"), Function):
            return value
        function = first_object(value.get("function")) or value
        named = next((function[key] for key in _ARGUMENTS if function.get(key) is not None), None)
        return {**value, "function": {"name": function.get("name"), "arguments": named}}


@dataclass(frozen=True, slots=True)
class RawCall:
    """One call as it came; `arguments` are JSON text, or the value itself."""

    id: str
    name: str
    arguments: object


class UniqueCallIds:
    """The ids under which a history's calls go out: each call has its own.

    Servers that give calls no ids, or number them anew in each answer, leave one id in several rounds.
    """

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}

    def of_call(self, call_id: str, place: int) -> str:
        """The id of a call at this place of the history."""
        unique = f"{call_id}_{place}" if call_id in self._latest else call_id
        self._latest[call_id] = unique
        return unique

    def of_result(self, call_id: str) -> str:
        """The id of the call that the next result of this id answers."""
        return self._latest.get(call_id, call_id)


def read_tool_calls(raw: Sequence[RawCall], *, cut: bool = False) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own, for each result names the call it answers.

    `cut`: the answer ended at its limit, so that a last call without arguments is one that lost them.

    Raises:
        AnswerTooLargeError: there are too many.
    """
    bounds.check_size(len(raw), bounds.CALLS, "tool calls")
    seen: set[str] = set()
    calls: list[ToolCall] = []
    for number, call in enumerate(raw, 1):
        call_id = well_formed(call.id) or f"call_{number}"
        # an id that is made up may be another call's own
        while call_id in seen:
            call_id += f"_{number}"
        seen.add(call_id)
        lost = cut and number == len(raw) and not call.arguments
        arguments = _BROKEN if lost else normalize_arguments(call.arguments)
        calls.append(ToolCall(call_id, well_formed(call.name), arguments))
    return tuple(calls)


def normalize_arguments(given: object) -> str:
    """The arguments as one JSON object's text; broken JSON stays as it is: the tool's answer names the fault.

    Servers write them as an object instead of its text, as text within text, begin with an empty object,
    repeat the whole at the end of its pieces, leave line breaks in texts, or write an empty list for none.
    Models put it into a code fence, or write Python.
    """
    try:
        return _object_text(given)
    except RecursionError:
        return well_formed(str(given))


def _object_text(given: object) -> str:
    values = parse_json_values(given) if isinstance(given, str) else [given]
    if values is None:
        given = parse_lenient_object(str(given)) or str(given)
        return well_formed(given) if isinstance(given, str) else _object_text(given)
    match values:
        case [str(text)]:
            return normalize_arguments(text)
        case [[dict(only)]]:
            return _object_text(only)
    filled = [value for value in values if value]
    if not filled:
        return "{}"
    # as the model wrote it: a rewritten history would miss the provider's cache
    if len(values) == 1 and isinstance(given, str) and not _TO_MEND.search(given):
        return well_formed(given)
    # pieces that contradict the last one: nobody knows which is meant
    if not all(_includes(filled[-1], value) for value in filled):
        return well_formed(str(given))
    return json.dumps(drop_surrogates(filled[-1]), ensure_ascii=False)


def parse_json_values(text: str) -> list[object] | None:
    """The JSON values that stand one after another in the text; None where something else does."""
    decoder, values, place = json.JSONDecoder(strict=False), list[object](), 0
    while (rest := text[place:].lstrip()) if len(values) < bounds.CALLS else "":
        place = len(text) - len(rest)
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        values.append(value)
    return values


def _includes(whole: object, part: object) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return part.items() <= whole.items()
    return whole == part
