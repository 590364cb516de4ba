"""Reading what providers send, the same for every protocol.

Tolerant of more than we know, of less where it can be done without, and of another type where the meaning is
plain: a server that is a little wrong still answers. Strict where what is read would be no answer.
"""

import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import from_json

from service_kit.logging import get_logger

from ...utils.text import well_formed
from ..errors import BadAnswerError, CutAnswerError
from ..model import Usage
from ..providers import bounds

log = get_logger(__name__)

DEEPEST = 64
"""Levels of a JSON value; what reads, compares and writes it afterwards is recursive."""
MOST_TOKENS = 10**7
"""Of one answer; ten times the largest window."""


class Wire(BaseModel):
    """An object as far as it is used."""

    model_config = ConfigDict(extra="ignore")


def _word(value: object) -> str:
    """An id or a name, which some servers write as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def read_text(value: object) -> str:
    """A text: as such, as an object that holds one, or as a list of parts of which some are text."""
    match value:
        case list():
            return "".join(map(read_text, value))
        case {"type": str(kind)} if kind not in {"text", "output_text", "input_text"}:
            return ""
        case {"text": text} | {"value": text}:
            return read_text(text)
        case _:
            return _word(value)


def _number(value: object) -> int | None:
    try:
        return int(float(str(value)))  # of anything else, the text is no number
    except (ValueError, OverflowError):
        return None


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list, or the only one where there is no list around it.

    Raises:
        AnswerTooLargeError: there are too many.
    """
    if isinstance(value, list):
        bounds.check_size(len(value), bounds.ITEMS, "items")
        return [item for item in value if isinstance(item, dict)]
    return [value] if isinstance(value, dict) else []


def first_object(value: object) -> dict[str, Any] | None:
    """The object, or the first in a list."""
    return next(iter(objects(value)), None)


# the `str` of pydantic refuses lone surrogates, which two pieces of a stream may hold the halves of
Word = Annotated[str, PlainValidator(_word)]
Text = Annotated[str, PlainValidator(read_text)]
Index = Annotated[int | None, PlainValidator(_number)]
AsObjects = BeforeValidator(objects)
"""For a list of objects that may be null, hold nulls, or lack the list around its only object."""
AsObject = BeforeValidator(first_object)
"""For an object that may be something else: then it is None."""


class Failure(Wire):
    """Why a response or a run failed."""

    code: Word = ""
    message: Word = "no reason given"


class Incomplete(Wire):
    """Why a response or a run ended before its answer did."""

    reason: Word = ""


class Made(Wire):
    """What was made: whatever it is, it has an id."""

    id: Annotated[str, BeforeValidator(_word), Field(min_length=1)]


Shape = TypeVar("Shape", bound=Wire)


def decode_json(payload: bytes) -> object:
    """The JSON value in a body or an event; texts in it may hold lone surrogates.

    Raises:
        BadAnswerError: it is not JSON.
        CutAnswerError: its end is missing.
    """
    text = payload.decode("utf-8-sig", "replace")
    try:
        value = _loads(text)
    except (ValueError, RecursionError) as exc:
        raise (CutAnswerError("cut JSON") if _is_cut(text) else BadAnswerError("not JSON")) from exc
    # counting is fast, and rules out nearly every answer
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise BadAnswerError("JSON nested too deeply")
    return value


def _loads(text: str) -> object:
    """The value; not `strict`, for some servers leave line breaks in texts as they are."""
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of thousands of digits, which Python refuses to read
        return json.loads(text, strict=False, parse_int=_whole_number)


def _depth(value: object) -> int:
    """How deeply the value is nested, found without recursion."""
    depth, level = 0, [value]
    while level := [item for value in level for item in _items(value)]:
        depth += 1
    return depth


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_cut(text: str) -> bool:
    """Whether it is JSON as far as it goes."""
    try:
        from_json(text)
    except ValueError as exc:
        return bool(text.strip()) and "EOF while parsing" in str(exc)
    return False


def _whole_number(digits: str) -> int | float:
    """The number; one that is too long to read is only too large."""
    return int(digits) if len(digits) < 100 else math.inf


def drop_surrogates(value: object) -> object:
    """A JSON value without lone surrogates."""
    match value:
        case str():
            return well_formed(value)
        case dict():
            return {drop_surrogates(key): drop_surrogates(item) for key, item in value.items()}
        case list():
            return [drop_surrogates(item) for item in value]
    return value


def parse_as(shape: type[Shape], payload: bytes, what: str) -> Shape:
    """The object in a body or an event; `what` names it in the error, such as "a response".

    Raises:
        BadAnswerError: it is something else.
        CutAnswerError: its end is missing.
    """
    return validate_as(shape, drop_surrogates(decode_json(payload)), what)


def validate_as(shape: type[Shape], value: object, what: str) -> Shape:
    """The object in a decoded value; `what` names it in the error.

    Raises:
        BadAnswerError: it is something else. The error does not quote it, for it may be anything.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"not {what}: {place or 'body'}: {first['msg']}"
        raise BadAnswerError(msg) from exc


def read_usage(model: str, usage: object, *, input_key: str, output_key: str) -> Usage:
    """The usage in an answer of `model`, by the protocol's own keys.

    Counts are bookkeeping, and some servers get them wrong: whatever they are, they never end an answer.
    """
    counts = usage if isinstance(usage, dict) else {}
    details = counts.get(f"{input_key}_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    given = [counts.get(input_key), counts.get(output_key), cached]
    known = [_count(value) for value in given]
    if any(value is not None and value != right for value, right in zip(given, known, strict=True)):
        log.warning("usage_clamped", model=model, counts=[str(value)[:20] for value in given])
    return Usage(*known)


def _count(value: object) -> int:
    try:
        count = float(str(value))
    except (ValueError, OverflowError):
        return 0
    return 0 if math.isnan(count) else int(min(max(count, 0), MOST_TOKENS))
