"""Checks a document beyond its shape, before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from service_kit.contracts.errors import ErrorBody, FieldError
from service_kit.contracts.tools import ToolType
from service_kit.contracts.transfer import Configuration, ToolEntry

from ..errors.api import InvalidError
from ..tool_schema import find_problem
from ..tool_types import describe_unknown
from .stored import Stored

SHOWN = 50
T = TypeVar("T")


class InvalidDocumentError(InvalidError):
    """The document is wrong; `details` has each place with what to do."""

    def __init__(self, findings: Sequence[FieldError]) -> None:
        first = findings[0]
        more = f" ({len(findings) - 1} more in details)" if len(findings) > 1 else ""
        super().__init__(f"{first.field}: {first.message}{more}", field=first.field)
        self._findings = list(findings[:SHOWN])

    def body(self) -> ErrorBody:
        """What is answered."""
        return super().body().model_copy(update={"details": self._findings})


def find_schema_problems(document: Configuration) -> dict[int, str]:
    """What is wrong with the tools' schemas, by the tool's number. Takes milliseconds for each schema."""
    problems = {
        number: find_problem(tool.input_schema)
        for number, tool in enumerate(document.tools)
        if tool.input_schema is not None
    }
    return {number: problem for number, problem in problems.items() if problem}


def check(
    document: Configuration,
    stored: Stored,
    tool_types: frozenset[str] | None = None,
    schema_problems: Mapping[int, str] | None = None,
) -> None:
    """Raises InvalidDocumentError, naming the place in the document of each error.

    `tool_types` are those that are known; None where that cannot be known. `schema_problems` are what
    `find_schema_problems` has found; None: they are looked for here.
    """
    if schema_problems is None:
        schema_problems = find_schema_problems(document)
    wrong_schemas = ((f"tools.{number}.input_schema", text) for number, text in schema_problems.items())
    found = chain(_findings(document, stored), wrong_schemas, _tool_types(document, stored, tool_types))
    findings = [FieldError(field=place, message=message) for place, message in found]
    if findings:
        raise InvalidDocumentError(findings)


def _findings(document: Configuration, stored: Stored) -> Iterator[tuple[str, str]]:
    names = {assistant.name for assistant in document.assistants} | stored.assistants.keys()
    tools = stored.tools | {tool.name: tool for tool in document.tools}
    yield from _twice("assistants", [assistant.name for assistant in document.assistants])
    yield from _twice("tools", [tool.name for tool in document.tools])
    yield from _twice("links", [f"{link.assistant} → {link.tool}" for link in document.links])
    yield from _defaults(document)
    for number, tool in enumerate(document.tools):
        for field, message in _tool(tool, names):
            yield f"tools.{number}.{field}", message
    for number, link in enumerate(document.links):
        place = f"links.{number}"
        if link.assistant not in names:
            yield f"{place}.assistant", _unknown("assistant", link.assistant)
        if link.tool not in tools:
            yield f"{place}.tool", _unknown("tool", link.tool)
        elif link.sub_assistant is not None and tools[link.tool].tool_type != ToolType.SUB_ASSISTANT:
            kind = tools[link.tool].tool_type
            msg = f"Only links to sub_assistant tools have one; {link.tool!r} is of type {kind}."
            yield f"{place}.sub_assistant", msg
        if link.sub_assistant is not None and link.sub_assistant not in names:
            yield f"{place}.sub_assistant", _unknown("assistant", link.sub_assistant)


def _tool(tool: ToolEntry, names: set[str]) -> Iterator[tuple[str, str]]:
    if (tool.tool_type == ToolType.SUB_ASSISTANT) != (tool.assistant is not None):
        yield "assistant", "A tool of type sub_assistant names the assistant it asks; other types name none."
    elif tool.assistant is not None and tool.assistant not in names:
        yield "assistant", _unknown("assistant", tool.assistant)


def _tool_types(
    document: Configuration, stored: Stored, known: frozenset[str] | None
) -> Iterator[tuple[str, str]]:
    if known is None:
        return
    # a stored type stays importable, even if no running assistant service has it
    known = known | {tool.tool_type for tool in stored.tools.values()}
    for number, tool in enumerate(document.tools):
        if tool.tool_type not in known:
            yield f"tools.{number}.tool_type", describe_unknown(tool.tool_type, known)


def _defaults(document: Configuration) -> Iterator[tuple[str, str]]:
    named = [(number, one) for number, one in enumerate(document.assistants) if one.is_default]
    for number, assistant in named:
        if not assistant.is_secretary or not assistant.is_active:
            yield f"assistants.{number}.is_default", "Only an active secretary can be the default."
    for number, _ in named[1:]:
        first = named[0][1].name
        yield (
            f"assistants.{number}.is_default",
            f"There can be one default only, and {first!r} is it already.",
        )


def _twice(place: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in seen:
            yield f"{place}.{number}", f"{name!r} is in the document twice (first at {place}.{seen[name]})."
        seen.setdefault(name, number)


def _unknown(noun: str, name: str) -> str:
    return f"There is no {noun} {name!r}, neither in the document nor stored. Check the spelling or add it."
