"""Nulls that mean "not given".

A provider's strict mode knows no optional arguments: every property is required there, and an optional
one may be null instead. Other models write null for what they leave out as well. Where the tool's own
schema does not allow null for an optional property, such a null is dropped before the schema is applied.
"""

from collections.abc import Mapping
from typing import Any

_REFERENCES = 8
"""That lead from one to the next, at most: a circle of them means nothing."""


def without_nulls(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """`value` without the nulls of optional properties that `schema` does not allow to be null.

    Looks into properties, items and references within the document; alternatives (`anyOf` and the like)
    are left as they are.
    """
    return _prune(value, schema, schema)


def _prune(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    schema = _resolve(schema, root)
    if not isinstance(schema, Mapping) or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [_prune(item, schema.get("items"), root) for item in value]
    known, needed = schema.get("properties", {}), schema.get("required", ())
    return {
        name: _prune(item, known.get(name), root)
        for name, item in value.items()
        if item is not None or name in needed or name not in known or _allows_null(known[name], root)
    }


def _allows_null(schema: Any, root: Mapping[str, Any]) -> bool:  # noqa: ANN401 - JSON
    schema = _resolve(schema, root)
    if not isinstance(schema, Mapping):
        return schema is not False
    kinds = schema.get("type", "null")
    choices = schema.get("enum", [None])
    alternatives = [schema[name] for name in ("anyOf", "oneOf") if name in schema]
    return (
        "null" in ([kinds] if isinstance(kinds, str) else kinds)
        and None in choices
        and schema.get("const") is None
        and all(any(_allows_null(one, root) for one in some) for some in alternatives)
        and all(_allows_null(one, root) for one in schema.get("allOf", ()))
    )


def _resolve(schema: Any, root: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What a reference within the document leads to; None where it leads nowhere."""
    for _ in range(_REFERENCES):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        reference = str(schema["$ref"])
        if not reference.startswith("#"):
            return None
        schema = root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")  # RFC 6901
            schema = schema.get(name) if isinstance(schema, Mapping) else None
    return None
