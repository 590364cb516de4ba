"""Lists in pages, as every list of the API is."""

from collections.abc import Iterable

from aiohttp import web

from ..model.conversation import JsonObject
from .errors import InvalidRequestError

_DEFAULT_PAGE = 20
_LARGEST_PAGE = 100


def paginate(things: Iterable[JsonObject], request: web.Request) -> JsonObject:
    """The wanted part of a list: `limit` (1 to 100), `order` (newest first by default), `after` an id.

    `things` come oldest first, each with its `id`. Raises InvalidRequestError.
    """
    listed = list(things)
    order = request.query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise InvalidRequestError(
            f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.",
            param="order",
            code="invalid_value",
        )
    if order == "desc":
        listed.reverse()
    after = request.query.get("after")
    if after:
        found = next((place for place, thing in enumerate(listed) if thing["id"] == after), None)
        if found is None:
            raise InvalidRequestError(f"Invalid 'after': no item with id '{after}' found.", param="after")
        listed = listed[found + 1 :]
    shown = listed[: _limit(request.query.get("limit"))]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(shown) < len(listed),
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_PAGE:
        raise InvalidRequestError(
            f"Invalid 'limit': expected an integer between 1 and {_LARGEST_PAGE}, but got '{text}' instead.",
            param="limit",
        )
    return int(text)
