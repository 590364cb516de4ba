"""An LRU store of what the provider keeps, in memory."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import ApiError

Item = TypeVar("Item")


class LRUStore(Generic[Item]):
    """Holds `limit` things; a new one takes the place of the least recently used."""

    def __init__(self, limit: int, missing: Callable[[str], str]) -> None:
        self._limit = limit
        self._missing = missing
        self._things: dict[str, Item] = {}

    def put(self, number: str, thing: Item) -> None:
        """Store `thing`."""
        self._things[number] = thing
        if len(self._things) > self._limit:
            del self._things[next(iter(self._things))]

    def find(self, number: str) -> Item | None:
        """The thing, None if there is none."""
        # put in again at the end: the first key is the least recently used one
        thing = self._things.pop(number, None)
        if thing is not None:
            self._things[number] = thing
        return thing

    def get(self, number: str) -> Item:
        """The thing; raises ApiError (404) if there is none."""
        thing = self.find(number)
        if thing is None:
            raise ApiError(404, self._missing(number))
        return thing

    def drop(self, number: str) -> Item:
        """Forget the thing and return it; raises ApiError (404) if there is none."""
        thing = self.get(number)
        del self._things[number]
        return thing

    def clear(self) -> None:
        """Forget everything."""
        self._things.clear()

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._things.values()))
