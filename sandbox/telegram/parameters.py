"""Parameters of a Bot API call: query, form, multipart or JSON; texts may stand for numbers and objects."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .errors import BadRequestError

_TRUE = frozenset({"true", "1", "yes", "y", "t"})


class Parameters:
    """Typed access to what a call sent."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """A string."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        return str(value).lower() if isinstance(value, bool) else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; anything that is none counts as `default`, as with Telegram."""
        value = self._values.get(name)
        try:
            return default if value is None or isinstance(value, bool) else int(value)
        except (TypeError, ValueError, OverflowError):
            return default

    def number(self, name: str) -> float:
        """A number, 0 by default."""
        try:
            value = float(self._values.get(name) or 0)
        except (TypeError, ValueError):
            return 0.0
        return value if value == value else 0.0  # noqa: PLR0124 - the test for NaN

    def flag(self, name: str) -> bool:
        """A Boolean, False by default."""
        value = self._values.get(name)
        return value.lower() in _TRUE if isinstance(value, str) else bool(value)

    def array(self, name: str) -> list[Any] | None:
        """A list, or its JSON text; None if it was not sent."""
        value = self._json(name)
        if value is not None and not isinstance(value, list):
            raise BadRequestError(f"can't parse {name}: expected an Array")
        return value

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object, or its JSON text; None if it was not sent."""
        value = self._json(name)
        if value is not None and not isinstance(value, dict):
            raise BadRequestError(f"object expected as {name.replace('_', ' ')}")
        return value

    def _json(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise BadRequestError(f"can't parse {name.replace('_', ' ')} JSON object") from exc


async def read_parameters(request: web.Request) -> Parameters:
    """All parameters of a request; those of the body win over the query's."""
    values: dict[str, Any] = dict(request.query) if request.query_string else {}
    if request.method == "POST" and request.body_exists:
        if request.content_type == "application/json":
            values |= _object(await request.read())
        elif request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            form = await request.post()
            values |= {name: value for name, value in form.items() if isinstance(value, str)}
    return Parameters(values)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError) as exc:
        raise BadRequestError("can't parse JSON object") from exc
    if not isinstance(value, dict):
        raise BadRequestError("object expected as the request body")
    return value
