"""The rules of `strict: true` (Structured Outputs guide, "Supported schemas")."""

from collections.abc import Iterator

from ..model.conversation import JsonObject
from .errors import InvalidRequestError

_NOT_PERMITTED = (
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired",
    "dependentSchemas", "patternProperties",
)  # fmt: skip


def check_strict(name: str, schema: JsonObject, *, param: str) -> None:
    """Raises InvalidRequestError where a function's schema may not be strict."""
    for place, part in _objects(schema, ()):
        fault = _fault(part)
        if fault is not None:
            context = "(" + ", ".join(repr(step) for step in place) + ("," if len(place) == 1 else "") + ")"
            raise InvalidRequestError(
                f"Invalid schema for function '{name}': In context={context}, {fault}",
                param=param,
                code="invalid_function_parameters",
            )


def _fault(part: JsonObject) -> str | None:
    forbidden = next((word for word in _NOT_PERMITTED if word in part), None)
    if forbidden is not None:
        return f"'{forbidden}' is not permitted."
    kind = part.get("type")
    if not (kind == "object" or (isinstance(kind, list) and "object" in kind)):
        return None
    if part.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties = part.get("properties")
    names = set(properties) if isinstance(properties, dict) else set()
    required = part.get("required")
    asked = set(required) if isinstance(required, list) else set()
    if names != asked or (names and not isinstance(required, list)):
        missing = sorted(names - asked)
        detail = (
            f"Missing '{missing[0]}'." if missing else f"Extra required key '{min(asked - names)}' supplied."
        )
        return (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"{detail}"
        )
    return None


def _objects(schema: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Every schema inside a schema, with its place."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for word in ("properties", "$defs", "definitions"):
        inner = schema.get(word)
        for key, part in inner.items() if isinstance(inner, dict) else ():
            yield from _objects(part, (*place, word, str(key)))
    if "items" in schema:
        yield from _objects(schema["items"], (*place, "items"))
    choices = schema.get("anyOf")
    for number, part in enumerate(choices if isinstance(choices, list) else ()):
        yield from _objects(part, (*place, "anyOf", str(number)))
