"""Exceptions as text for logs and dead letters, without what users wrote.

An exception's message may hold the wrong value itself: pydantic, jsonschema, a failed int() and a KeyError
all show it. So only messages of types that hold no such value are shown: the system's, those about the
program itself, and the kit's about services that do not answer. Of all others only the type and the traceback
remain.
"""

import traceback
from collections.abc import Iterator

from pydantic import ValidationError
from redis.exceptions import RedisError
from structlog.typing import ExcInfo

from service_kit.errors import TransientError

_SHOWN = (
    *(OSError, RuntimeError, TypeError, AttributeError, ImportError, NameError, ArithmeticError),
    *(RedisError, TransientError),
)


def describe(error: BaseException) -> str:
    """Type and, where it holds nothing of a user's, message."""
    kind = type(error).__name__
    if isinstance(error, ValidationError):
        problems = sorted(
            {problem["type"] for problem in error.errors(include_url=False, include_input=False)}
        )
        return f"{kind}: {error.title}: {', '.join(problems)}"
    text = str(error) if isinstance(error, _SHOWN) else ""
    return f"{kind}: {text}" if text else kind


def format_traceback(exc_info: ExcInfo) -> str:
    """What Python prints of an exception and those that led to it, with `describe` for their messages."""
    return "".join(_lines(exc_info[1])).rstrip("\n")


def _lines(error: BaseException) -> Iterator[str]:
    if error.__cause__ is not None:
        yield from _lines(error.__cause__)
        yield "\nThe above exception was the direct cause of the following exception:\n\n"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _lines(error.__context__)
        yield "\nDuring handling of the above exception, another exception occurred:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{describe(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, 1):
            yield f"  {number}. of {len(error.exceptions)} exceptions in the group:\n"
            yield from (f"  {line}\n" for line in "".join(_lines(one)).splitlines())
