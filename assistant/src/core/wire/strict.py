"""A tool's schema in the strict form (developers.openai.com, guide "Function calling", Strict mode).

In strict mode the provider holds the model to the schema while it writes the arguments. The price:
every property must be required and every object closed, so an optional property becomes one that may
be null; and only part of JSON Schema may be used. What cannot be said so goes out without strict mode,
for our own check of the arguments stands behind both.
"""

from collections.abc import Mapping
from typing import Any

from ..model import JsonSchema

MAX_PROPERTIES = 100
MAX_DEPTH = 5
"""The guide's limits; newer models allow more of both."""

_COPIED = frozenset(
    {
        *("title", "description", "type", "enum", "pattern", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
_NOTES = frozenset({"default", "examples", "deprecated", "$comment", "$schema", "format"})
"""Say nothing about what fits (`format` is a note too, by the standard): left out."""
_CONVERTED = frozenset({"const", "anyOf", "properties", "required", "additionalProperties", "items"})

CACHE_SIZE = 1024
_cache: dict[int, tuple[JsonSchema, dict[str, Any] | None]] = {}


class _NotStrictError(Exception):
    """The schema cannot be said in the strict form."""


def strict_schema(schema: JsonSchema) -> dict[str, Any] | None:
    """`schema`, of type object, in the strict form, or None where it cannot be expressed.

    Arguments that fit the result fit `schema`, once the nulls of optional properties are left out. The
    same object is converted once, for its tool goes out with every request: it must not be changed.
    """
    known = _cache.get(id(schema))
    if known is None:
        if len(_cache) >= CACHE_SIZE:
            _cache.clear()
        # kept with its schema, so that no other one can take over the id
        known = _cache[id(schema)] = (schema, _strict(schema))
    return known[1]


def _strict(schema: JsonSchema) -> dict[str, Any] | None:
    try:
        result = _convert({"properties": {}} | dict(schema), depth=0)
    except _NotStrictError:
        return None
    return result if _count_properties(result) <= MAX_PROPERTIES else None


def _convert(schema: object, *, depth: int, optional_allowed: bool = True) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH or schema.keys() - _COPIED - _NOTES - _CONVERTED:
        raise _NotStrictError
    result = {key: value for key, value in schema.items() if key in _COPIED}
    if "anyOf" in schema:
        if result.keys() - {"title", "description"} or len(schema.keys() & _CONVERTED) > 1:
            raise _NotStrictError
        # which alternative a null belongs to could not be told afterwards
        some = [_convert(one, depth=depth, optional_allowed=False) for one in schema["anyOf"]]
        return result | {"anyOf": some}
    kinds = _kinds(schema)
    if "const" in schema:
        result["enum"] = [schema["const"]] if schema["const"] in schema.get("enum", [schema["const"]]) else []
    if "(?" in str(schema.get("pattern", "")) or result.get("enum") == []:
        raise _NotStrictError
    if "object" in kinds:
        result |= _object(schema, depth=depth, optional_allowed=optional_allowed)
    if "array" in kinds:
        result["items"] = _convert(schema.get("items"), depth=depth + 1, optional_allowed=optional_allowed)
    return result


def _object(schema: Mapping[str, Any], *, depth: int, optional_allowed: bool) -> dict[str, Any]:
    properties, required = schema.get("properties"), set(schema.get("required", ()))
    # without `properties` it is free-form, and closing it would leave nothing to write
    if not isinstance(properties, Mapping) or schema.get("additionalProperties", False) is not False:
        raise _NotStrictError
    if not required <= properties.keys() or (properties.keys() - required and not optional_allowed):
        raise _NotStrictError
    converted = {
        name: _convert(value, depth=depth + 1, optional_allowed=optional_allowed)
        for name, value in properties.items()
    }
    return {
        "properties": {
            name: value if name in required else _make_nullable(value) for name, value in converted.items()
        },
        "required": list(properties),
        "additionalProperties": False,
    }


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types, of which the strict form takes one besides null."""
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not kinds or len(set(kinds) - {"null"}) > 1:
        raise _NotStrictError
    return kinds


def _make_nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one != {"type": "null"}]
        return schema | {"anyOf": [*others, {"type": "null"}]}
    result = schema | {"type": [*(kind for kind in _kinds(schema) if kind != "null"), "null"]}
    if None not in schema.get("enum", [None]):
        result["enum"] = [*schema["enum"], None]
    return result


def _count_properties(schema: Any) -> int:  # noqa: ANN401 - JSON
    """How many properties the schema has, on all levels."""
    if isinstance(schema, Mapping):
        own = schema.get("properties")
        return (len(own) if isinstance(own, Mapping) else 0) + sum(map(_count_properties, schema.values()))
    return sum(map(_count_properties, schema)) if isinstance(schema, list) else 0
