"""Finds the tool for a job and fills its arguments by its schema.

The model never knows a tool in advance: rows of the database decide names, descriptions and
schemas. So a tool is found by the words of its name, then of its description, and each property of
its schema is filled by what its name says it means.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .conversation import Call, JsonObject, Tool

Json = str | int | float | bool | None | list[Any] | JsonObject

DELEGATE_PREFIX = "ask_"
_WORD = re.compile(r"[_-]")
_READ = frozenset({"list", "get", "read", "show", "find", "search", "view"})
_WRITE = frozenset(
    {"create", "add", "insert", "new", "set", "make", "schedule", "delete", "cancel", "update"}
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known for the arguments; None leaves a property out unless it is required."""

    text: str | None = None
    title: str | None = None
    action: tuple[str, ...] = ()
    zone: str | None = None
    from_zone: str | None = None
    city: str | None = None
    start: str | None = None
    end: str | None = None
    clock: str | None = None
    cron: str | None = None
    minutes: int | None = None
    days: int | None = None
    number: int | None = None


_ROLES: tuple[tuple[str, str], ...] = (
    (r"(^|_)(id|number)$", "number"),
    (r"cron|recurren|rrule|repeat", "cron"),
    (r"(^|_)(action|operation|mode|command)$", "action"),
    (r"(from|source)_?(time_?zone|tz|zone)", "from_zone"),
    (r"time_?zone|^tz$|^zone$", "zone"),
    (r"city|location|place|^where$", "city"),
    (r"minute", "minutes"),
    (r"^days$|day_count|forecast_days", "days"),
    (r"(^|_)(end|until|to|max)($|_)|time_?max", "end"),
    (r"(^|_)(at|start|begin|from|due|when|run_at|datetime|date_time|remind_at|time_?min)($|_)", "start"),
    (r"^time$", "clock"),
    (r"title|summary|subject|^name$|event", "title"),
    (r"text|message|request|question|task|query|content|prompt|description|^input$|body", "text"),
)
_COMPILED_ROLES = tuple((re.compile(pattern), role) for pattern, role in _ROLES)


def find_tool(tools: Iterable[Tool], name: str, description: str | None = None) -> Tool | None:
    """The first tool whose name matches the pattern `name`, else whose description matches `description`.

    Delegates (`ask_…`) are never found by this: a planner that "schedules time" is not a clock.
    """
    # by name first: a description mentions other tools' words as well
    plain = [tool for tool in tools if not tool.name.lower().startswith(DELEGATE_PREFIX)]
    for tool in plain:
        if re.search(name, tool.name, re.IGNORECASE):
            return tool
    if description is None:
        return None
    return next((tool for tool in plain if re.search(description, tool.description, re.IGNORECASE)), None)


def find_tool_to(tools: Iterable[Tool], name: str, *, write: bool) -> Tool | None:
    """A tool whose name matches `name` and that reads, or writes, as wanted.

    A tool whose name has no verb (`calendar`) may do both; one with the other verb never counts, for
    whoever wants to see the calendar must not change it.
    """
    wanted, other = (_WRITE, _READ) if write else (_READ, _WRITE)
    found = [
        (tool, set(_WORD.split(tool.name.lower())))
        for tool in tools
        if re.search(name, tool.name, re.IGNORECASE)
    ]
    with_verb = (tool for tool, words in found if words & wanted)
    without_verb = (tool for tool, words in found if not words & other)
    return next(with_verb, None) or next(without_verb, None)


def find_delegate(tools: Iterable[Tool], words: str) -> Tool | None:
    """The first `ask_…` tool whose name or description matches the pattern `words`."""
    delegates = [tool for tool in tools if tool.name.lower().startswith(DELEGATE_PREFIX)]
    return next(
        (tool for tool in delegates if re.search(words, f"{tool.name} {tool.description}", re.IGNORECASE)),
        None,
    )


def takes(tool: Tool, role: str) -> bool:
    """Whether the schema has a property for the field `role` of `Hints`."""
    return any(_role(name) == role for name in _properties(tool))


def can(tool: Tool, *actions: str) -> bool:
    """Whether one of the tool's choices is among `actions`; a tool without choices is taken at its name."""
    choices = [
        str(choice).lower()
        for name, schema in _properties(tool).items()
        if _role(name) == "action" and isinstance(schema, dict) and isinstance(schema.get("enum"), list)
        for choice in schema["enum"]
    ]
    return any(action in choice for action in actions for choice in choices or [tool.name.lower()])


def _properties(tool: Tool) -> JsonObject:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, dict) else {}


def _role(name: str) -> str | None:
    return next((role for pattern, role in _COMPILED_ROLES if pattern.search(name.lower())), None)


def call(tool: Tool, hints: Hints) -> Call:
    """A call of `tool` that its schema should accept."""
    required = tool.parameters.get("required")
    needed = set(required) if isinstance(required, list) else set()
    arguments: JsonObject = {}
    for name, schema in _properties(tool).items():
        if not isinstance(schema, dict):
            continue
        value = _value(name, schema, hints)
        if value is None and name in needed and not _may_be_null(schema):
            value = _filler(schema, hints)
        # strict schemas require every property, and take null for "not given"
        if value is not None or name in needed:
            arguments[name] = value
    return Call(tool.name, arguments)


def _value(name: str, schema: JsonObject, hints: Hints) -> Json:
    choices = schema.get("enum")
    if isinstance(choices, list):
        return next(
            (choice for word in hints.action for choice in choices if word in str(choice).lower()), None
        )
    role = _role(name)
    if role is None:
        return None
    found: Json = None if role == "action" else getattr(hints, role)
    if role == "text" and found is None:
        found = hints.title
    if role == "title" and found is None:
        found = hints.text
    if role == "action":
        found = hints.action[0] if hints.action else None
    return _fit_type(found, schema)


def _fit_type(value: Json, schema: JsonObject) -> Json:
    """`value` where it is of the schema's type, or can be made so."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if value is None:
        return None
    # a tool may want its number as text, but never a text where a number stands
    if isinstance(value, int) and not {"integer", "number", None} & set(kinds):
        return str(value) if "string" in kinds else None
    if isinstance(value, str) and not {"string", None} & set(kinds):
        return None
    return value


def _may_be_null(schema: JsonObject) -> bool:
    choices, kind = schema.get("enum"), schema.get("type")
    if isinstance(choices, list):
        return None in choices
    return isinstance(kind, list) and "null" in kind


def _filler(schema: JsonObject, hints: Hints) -> Json:
    """Something for a required property that nothing is known for."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return next((choice for choice in choices if choice is not None), None)
    if "default" in schema:
        default: Json = schema["default"]
        return default
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "integer" | "number":
            return 1
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
        case _:
            return hints.text or hints.title or ""
