"""Keeps things by id, in memory, and lists them in pages."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from aiohttp import web

from ..model.conversation import JsonObject
from .errors import ApiError, InvalidRequestError

_DEFAULT_PAGE = 20
_LARGEST_PAGE = 100

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """Holds `limit` things; the one that was not asked for the longest makes room for a new one."""

    def __init__(self, limit: int, missing: Callable[[str], str]) -> None:
        self._limit = limit
        self._missing = missing
        self._kept: dict[str, Kept] = {}

    def put(self, number: str, thing: Kept) -> None:
        """Keep `thing`."""
        self._kept[number] = thing
        if len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]

    def find(self, number: str) -> Kept | None:
        """The thing, None if there is none."""
        thing = self._kept.pop(number, None)
        if thing is not None:
            self._kept[number] = thing
        return thing

    def get(self, number: str) -> Kept:
        """The thing; raises ApiError (404) if there is none."""
        thing = self.find(number)
        if thing is None:
            raise ApiError(404, self._missing(number))
        return thing

    def drop(self, number: str) -> Kept:
        """Forget the thing and return it; raises ApiError (404) if there is none."""
        thing = self.get(number)
        del self._kept[number]
        return thing

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def __iter__(self) -> Iterator[Kept]:
        return iter(tuple(self._kept.values()))


def page(things: Iterable[JsonObject], request: web.Request) -> JsonObject:
    """A list as the query wants it: `limit` (1 to 100), `order` (newest first by default), `after` an id.

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
