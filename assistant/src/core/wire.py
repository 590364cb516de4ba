"""Reading what providers send, the same for every protocol: tolerant of more than we know, strict of less."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import BadAnswerError, CutAnswerError


class Wire(BaseModel):
    """An object as far as it is used."""

    model_config = ConfigDict(extra="ignore")


class Made(Wire):
    """What was made: whatever it is, it has an id."""

    id: str


Shape = TypeVar("Shape", bound=Wire)


def parsed(shape: type[Shape], payload: bytes, what: str) -> Shape:
    """The object in a body or an event; `what` names it in the error, such as "a response".

    Raises:
        BadAnswerError: it is none. What it holds instead is not told: it may be anything.
        CutAnswerError: its end is missing.
    """
    try:
        return shape.model_validate_json(payload)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"not {what}: {place or 'body'}: {first['msg']}"
        raise (CutAnswerError if _is_cut(payload, first["msg"]) else BadAnswerError)(msg) from exc


def _is_cut(payload: bytes, reason: str) -> bool:
    """Whether it is JSON as far as it goes."""
    return bool(payload.strip()) and "EOF while parsing" in reason
