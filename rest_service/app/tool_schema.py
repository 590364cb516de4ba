"""A tool's input schema: a JSON Schema that a model's arguments can be held against.

Beyond the meta-schema: the top level is an `object` (function parameters are), what is required is
defined, references stay inside the document (validation must not fetch addresses from a row) and lead
somewhere, nesting is bounded, and so is what the references expand to: definitions that each use the one
before twice double the work with each. The length of the text is bounded by the contract.
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any
from urllib.parse import unquote

from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for

MAX_DEPTH = 32
MAX_EXPANDED = 10_000
"""Objects and lists in the schema with each reference replaced by what it leads to."""
TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_COMPOSED = frozenset({*_REFERENCES, "allOf", "anyOf", "oneOf", "if", "patternProperties"})

Schema = Any
_NOWHERE: Schema = object()


def find_problem(text: str) -> str | None:
    """What is wrong with the schema in `text`, as a sentence; None where it is right."""
    try:
        schema = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_finite)
    except json.JSONDecodeError as exc:
        return f"The schema is not valid JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}."
    except (RecursionError, ValueError):
        return "The schema is not valid JSON: it nests too deeply or has a number that JSON does not know."
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return 'The schema\'s top level must be an object: {"type": "object", "properties": {…}}.'
    if _depth(schema) > MAX_DEPTH:
        return f"The schema nests deeper than {MAX_DEPTH} levels."
    return (
        _check_references(schema)
        or _check_size(schema)
        or _check_meta_schema(schema)
        or _check_required(schema)
    )


def _check_references(schema: dict[str, Any]) -> str | None:
    anchors = _anchors(schema)
    for reference in _references(schema):
        shown = repr(reference[:100])
        if not reference.startswith("#"):
            return f"The reference {shown} leads out of the schema; only '#/…' references are possible."
        if reference not in anchors and not isinstance(_target(schema, reference), dict | bool):
            return f"The reference {shown} leads to no schema. Define one, such as under '$defs'."
    return None


def _check_size(schema: dict[str, Any]) -> str | None:
    try:
        size = _Expansion(schema).size(schema)
    except RecursionError:
        size = MAX_EXPANDED + 1
    if size <= MAX_EXPANDED:
        return None
    return (
        f"The schema's references expand to more than {MAX_EXPANDED} parts. Use each definition less often, "
        "or describe the arguments more simply."
    )


class _Expansion:
    """Counts a schema's values with its references followed; one that leads back into itself counts once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._anchors = _anchors(schema)
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def size(self, value: Schema) -> int:
        """How many objects and lists `value` is."""
        if not isinstance(value, dict | list):
            return 0
        if id(value) in self._open:
            return 1
        if id(value) not in self._sizes:
            self._open.add(id(value))
            self._sizes[id(value)] = 1 + sum(map(self.size, self._parts(value)))
            self._open.remove(id(value))
        return self._sizes[id(value)]

    def _parts(self, value: dict[str, Any] | list[Any]) -> Iterator[Schema]:
        if isinstance(value, list):
            yield from value
            return
        for key, part in value.items():
            if key in _REFERENCES and isinstance(part, str):
                yield self._anchors[part] if part in self._anchors else _target(self._root, part)
            else:
                yield part


def _anchors(schema: dict[str, Any]) -> dict[str, Schema]:
    """What the references by name lead to."""
    return {
        f"#{value[key].lstrip('#')}": value
        for _, value in _walk(schema)
        if isinstance(value, dict)
        for key in ("$anchor", "$dynamicAnchor", "$id")
        if isinstance(value.get(key), str)
    }


def _target(schema: Schema, reference: str) -> Schema:
    """What a JSON pointer leads to; `_NOWHERE` where it leads nowhere."""
    start, *path = unquote(reference).split("/")
    if start != "#":
        return _NOWHERE
    for part in path:
        name = part.replace("~1", "/").replace("~0", "~")  # RFC 6901
        if isinstance(schema, dict) and name in schema:
            schema = schema[name]
        elif isinstance(schema, list) and name.isdecimal() and int(name) < len(schema):
            schema = schema[int(name)]
        else:
            return _NOWHERE
    return schema


def _check_meta_schema(schema: dict[str, Any]) -> str | None:
    # its declared type, a protocol, does not know check_schema's second argument
    draft: Any = Draft202012Validator
    try:
        draft = validator_for(schema, default=draft)
    except (AttributeError, TypeError, ValueError):
        return "The schema's $schema is not the address of a draft. Leave it out."
    try:
        # the format checker looks at regular expressions, which would fail only when a model calls the tool
        draft.check_schema(schema, format_checker=draft.FORMAT_CHECKER)
    except SchemaError as exc:
        where = "/".join(map(str, exc.absolute_path)) or "its top level"
        return f"The schema is not a valid JSON Schema at {where}: {_reason(exc)}."
    except (OverflowError, RecursionError):
        return "A pattern in the schema nests too deeply or has too large a number. Write a simpler one."
    return None


def _reason(exc: SchemaError) -> str:
    """The library's reason, in plain words where it has none."""
    shown = repr(exc.instance)[:60]
    match exc.absolute_path[-1] if exc.absolute_path else None:
        case "type" if isinstance(exc.instance, str):
            return f"{shown} is not a known type; use {', '.join(TYPES[:-1])} or {TYPES[-1]}"
        case "properties":
            return f'{shown} is not an object; write {{"name of the argument": {{"type": "string"}}, …}}'
        case "pattern":
            return f"{shown} is not a regular expression"
    if exc.validator == "type" and "properties" in exc.absolute_path:
        return f'{shown} is not a schema; write {{"type": "string"}} or the like'
    return exc.message[:200]


def _check_required(schema: dict[str, Any]) -> str | None:
    for path, part in _objects(schema):
        properties = part.get("properties", {})
        missing = next((name for name in part.get("required", ()) if name not in properties), None)
        if missing is not None:
            where = f"at {path}" if path else "at its top level"
            return (
                f"The schema requires {missing!r} {where}, but has no such property there. "
                "Add it to properties or remove it from required."
            )
    return None


def _objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The plain objects among the arguments, with their places; what is composed is left alone."""
    if schema.get("type") != "object" or not _COMPOSED.isdisjoint(schema):
        return
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        place = f"{path}/properties/{name}".lstrip("/")
        if isinstance(inner, dict):
            yield from _objects(inner, place)
            items = inner.get("items")
            if isinstance(items, dict):
                yield from _objects(items, f"{place}/items")


def _refuse_constant(name: str) -> Schema:
    raise ValueError(name)


def _parse_finite(text: str) -> float:
    """What JSON can say again: Python reads 1e999 as infinity."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _walk(schema: Schema) -> Iterator[tuple[int, Schema]]:
    """Every value in the document with its depth; iterative, so that depth cannot exhaust the stack."""
    waiting: list[tuple[int, Schema]] = [(1, schema)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(depth + 1, child) for child in children]


def _depth(schema: Schema) -> int:
    return max(depth for depth, _ in _walk(schema))


def _references(schema: Schema) -> Iterator[str]:
    for _, value in _walk(schema):
        if isinstance(value, dict):
            for key in _REFERENCES:
                if isinstance(value.get(key), str):
                    yield value[key]
