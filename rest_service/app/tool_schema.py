"""A tool's input schema: a JSON Schema that a model's arguments can be held against.

Beyond the meta-schema: the top level is an `object` (function parameters are), references stay inside
the document (validation must not fetch addresses from a row), nesting is bounded.
"""

import json
from collections.abc import Iterator
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for

MAX_DEPTH = 32

Schema = Any


def problem(text: str) -> str | None:
    """What is wrong with the schema in `text`, as a sentence; None where it is right."""
    try:
        schema = json.loads(text, parse_constant=_no_constants)
    except json.JSONDecodeError as exc:
        return f"The schema is not valid JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}."
    except (RecursionError, ValueError):
        return "The schema is not valid JSON: it nests too deeply or has a number that JSON does not know."
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return 'The schema\'s top level must be an object: {"type": "object", "properties": {…}}.'
    if _depth(schema) > MAX_DEPTH:
        return f"The schema nests deeper than {MAX_DEPTH} levels."
    foreign = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    if foreign is not None:
        return f"The reference {foreign[:100]!r} leads out of the schema; only '#/…' references are possible."
    return _meta_schema_problem(schema)


def _meta_schema_problem(schema: dict[str, Any]) -> str | None:
    # its declared type, a protocol, does not know check_schema's second argument
    draft: Any = validator_for(schema, default=Draft202012Validator)
    try:
        # the format checker looks at regular expressions, which would fail only when a model calls the tool
        draft.check_schema(schema, format_checker=draft.FORMAT_CHECKER)
    except SchemaError as exc:
        where = "/".join(map(str, exc.absolute_path)) or "its top level"
        return f"The schema is not a valid JSON Schema at {where}: {exc.message[:200]}."
    return None


def _no_constants(name: str) -> Schema:
    raise ValueError(name)


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
            for key in ("$ref", "$dynamicRef", "$recursiveRef"):
                if isinstance(value.get(key), str):
                    yield value[key]
