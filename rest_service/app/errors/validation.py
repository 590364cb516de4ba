"""pydantic's findings as sentences that say what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from service_kit.contracts.errors import ErrorBody, FieldError

SHOWN = 20
"""Findings listed in one answer; a body of rubbish does not get a longer answer than it is itself."""

_ID = "is not an id; ids look like 3fa85f64-5717-4562-b3fc-2c963f66afa6, copy one from the list"
_TIME = "must be a time like 2026-12-24T18:00:00+01:00"

_SENTENCES = {
    "missing": "is required; add it",
    "extra_forbidden": "is not a field that exists here; remove it or check its spelling",
    "uuid_parsing": _ID,
    "uuid_type": _ID,
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_unicode": "contains characters that are not valid Unicode",
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": "needs its offset from UTC: 2026-12-24T18:00:00+01:00, or Z for UTC",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
}


def body_of(errors: Sequence[Mapping[str, Any]]) -> ErrorBody:
    """One answer for all findings; the first of them stands in `message` and `field`."""
    details = [FieldError(field=_field(error), message=_sentence(error)) for error in errors[:SHOWN]] or [
        FieldError(field="body", message="is wrong")
    ]
    first = details[0]
    more = f" ({len(errors) - 1} more in details)" if len(errors) > 1 else ""
    return ErrorBody(
        code="invalid", message=f"{first.field} {first.message}{more}.", field=first.field, details=details
    )


def _field(error: Mapping[str, Any]) -> str:
    where, *path = error["loc"] or ("body",)
    if error["type"] == "json_invalid":
        return "body"
    parts = path if where == "body" else [where, *path]
    # a key of the body may hold half a surrogate pair, which no answer can be encoded with
    return ".".join(map(str, parts)).encode("utf-8", "replace").decode() or "body"


def _sentence(error: Mapping[str, Any]) -> str:
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    match kind:
        case "json_invalid":
            return f"is not valid JSON at character {error['loc'][-1]}: {context.get('error', 'check it')}"
        case "enum" | "literal_error":
            return f"must be one of {context['expected']}"
        case "string_too_short" if context.get("min_length") == 1:
            return "must not be empty"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return f"does not have the right form; it must match {context['pattern']}"
    text = str(error["msg"])
    return (text[:1].lower() + text[1:]).replace("input should", "should").encode("utf-8", "replace").decode()
