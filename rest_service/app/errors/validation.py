"""pydantic's errors as sentences that say what to do, without the vocabulary of the library.

A sentence is written as what follows its field: "name is required". In `details` the field stands beside it,
so there it stands alone: "Required".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from service_kit.contracts.errors import ErrorBody, FieldError
from service_kit.contracts.tools import TOOL_NAME_PATTERN, TOOL_TYPE_PATTERN
from service_kit.contracts.users import LANGUAGE_PATTERN

SHOWN = 20
"""Findings listed in one answer; a body of rubbish does not get a longer answer than it is itself."""

_ID = "is not an id; ids look like 3fa85f64-5717-4562-b3fc-2c963f66afa6, copy one from the list"
_TIME = "must be a time like 2026-12-24T18:00:00+01:00"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_YES_OR_NO = "must be true or false"
_OBJECT = 'must be an object: {"field": "value", …}'

_SENTENCES = {
    "missing": "is required",
    "uuid_parsing": _ID,
    "uuid_type": _ID,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "is too large a number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "string_type": 'must be a text: "…"',
    "string_unicode": "contains characters that are not valid Unicode",
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_type": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": "needs its offset from UTC: 2026-12-24T18:00:00+01:00, or Z for UTC",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "must be a list: [ … ]",
}
_LIMITS = {
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "string_too_long": "has more than {max_length} characters; shorten it",
    "string_too_short": "needs at least {min_length} characters",
    "too_long": "has more than {max_length} items; send fewer",
    "too_short": "needs at least {min_length} items",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
}
_PATTERNS = {
    TOOL_NAME_PATTERN: "must have 1 to 64 letters (a to z, A to Z), digits, '_' or '-', and no spaces; "
    "such as world_clock",
    TOOL_TYPE_PATTERN: "must be the name of a type, in small letters, such as time or sub_assistant",
    LANGUAGE_PATTERN: "must be a language code such as 'en', 'ru' or 'pt-br'",
}
_PARTS = {
    "path": "{} in the address",
    "query": "The parameter {}",
    "header": "The header {}",
}


def body_of(errors: Sequence[Mapping[str, Any]]) -> ErrorBody:
    """One answer for all findings; the first of them stands in `message` and `field`."""
    found = [(_field(error), _sentence(error)) for error in errors[:SHOWN]] or [("body", "is wrong")]
    field, sentence = found[0]
    more = f" ({len(errors) - 1} more in details)" if len(errors) > 1 else ""
    return ErrorBody(
        code="invalid",
        message=f"{_subject(field)} {sentence}{more}.",
        field=field,
        details=[FieldError(field=name, message=_stand_alone(text)) for name, text in found],
    )


def _stand_alone(sentence: str) -> str:
    text = sentence.removeprefix("is ")
    return text[:1].upper() + text[1:]


def _field(error: Mapping[str, Any]) -> str:
    where, *path = error["loc"] or ("body",)
    if error["type"] == "json_invalid":
        return "body"
    # a check of the whole body says itself which field it means
    path = path or [name for name in [(error.get("ctx") or {}).get("field")] if name]
    parts = path if where == "body" else [where, *path]
    # a key of the body may hold half a surrogate pair, which no answer can be encoded with
    return ".".join(map(str, parts)).encode("utf-8", "replace").decode() or "body"


def _subject(field: str) -> str:
    """The field as a person reads it; `query.limit` is its form for programs."""
    if field == "body":
        return "The body"
    where, _, name = field.partition(".")
    return _PARTS[where].format(name) if name and where in _PARTS else field


def _sentence(error: Mapping[str, Any]) -> str:
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    match kind:
        case "json_invalid":
            return f"is not valid JSON at character {error['loc'][-1]}: {context.get('error', 'check it')}"
        case "extra_forbidden":
            what = "parameter" if error["loc"][0] == "query" else "field"
            return f"is not a {what} that exists here; remove it or check its spelling"
        case "string_too_short" if context.get("min_length") == 1:
            return "must not be empty"
        case "value_error" | "one_of_two":
            return str(error["msg"]).removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return _PATTERNS.get(str(context["pattern"]), "does not have the right form")
    if kind in _LIMITS:
        return _LIMITS[kind].format_map({name: _short(value) for name, value in context.items()})
    text = re.sub("^input should", "must", str(error["msg"]), flags=re.IGNORECASE)
    return (text[:1].lower() + text[1:]).encode("utf-8", "replace").decode()


def _short(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
