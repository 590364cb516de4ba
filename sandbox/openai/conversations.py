"""`/conversations`: what was said, kept at the provider. In memory, the newest ten thousand of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from ..model.conversation import JsonObject
from .answering import new_id
from .checks import read_metadata
from .errors import LOCKED, ApiError, InvalidRequestError
from .front import Front
from .items import read_items
from .lru import LRUStore
from .pages import paginate

_KEPT = 10_000
_MOST_ITEMS = 20
"""That may be added in one call."""


@dataclass(slots=True)
class Conversation:
    """Items by their ids, oldest first; `busy` while a response is being made."""

    id: str
    metadata: dict[str, str]
    created_at: int
    items: dict[str, JsonObject] = field(default_factory=dict)
    busy: bool = False

    def as_json(self) -> JsonObject:
        """Without its items."""
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": self.created_at,
            "metadata": self.metadata,
        }

    def add(self, items: Sequence[JsonObject]) -> None:
        """Put `items` at the end."""
        self.items |= {item["id"]: item for item in items}

    def refuse_if_busy(self) -> None:
        """Raises InvalidRequestError while a response is being made."""
        if self.busy:
            raise InvalidRequestError(LOCKED, param="conversation", code="conversation_locked")


class Conversations:
    """All conversations, and the calls that need no model."""

    def __init__(self) -> None:
        self._store: LRUStore[Conversation] = LRUStore(_KEPT, "Conversation with id '{}' not found.".format)

    def add_routes(self, app: web.Application, front: Front) -> None:
        """The paths below `/conversations`."""
        one, items = "/conversations/{conversation}", "/conversations/{conversation}/items"
        for verb, path, method, do in (
            ("POST", "/conversations", "create", self._create),
            ("GET", one, "retrieve", self._retrieve),
            ("POST", one, "update", self._update),
            ("DELETE", one, "delete", self._delete),
            ("POST", items, "items.create", self._add_items),
            ("GET", items, "items.list", self._list_items),
            ("GET", f"{items}/{{item}}", "items.retrieve", self._retrieve_item),
            ("DELETE", f"{items}/{{item}}", "items.delete", self._delete_item),
        ):
            front.plain_route(app, verb, path, f"conversations.{method}", do)

    def get(self, number: str) -> Conversation:
        """The conversation; raises ApiError (404)."""
        return self._store.get(number)

    def clear(self) -> None:
        """Forget all."""
        self._store.clear()

    def _create(self, _request: web.Request, body: JsonObject) -> JsonObject:
        made = Conversation(new_id("conv_"), read_metadata(body), int(time.time()))
        made.add(_new_items(body) if body.get("items") is not None else [])
        self._store.put(made.id, made)
        return made.as_json()

    def _retrieve(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return self._of(request).as_json()

    def _update(self, request: web.Request, body: JsonObject) -> JsonObject:
        conversation = self._of(request)
        conversation.metadata = read_metadata(body)
        return conversation.as_json()

    def _delete(self, request: web.Request, _body: JsonObject) -> JsonObject:
        dropped = self._store.drop(request.match_info["conversation"])
        return {"id": dropped.id, "object": "conversation.deleted", "deleted": True}

    def _add_items(self, request: web.Request, body: JsonObject) -> JsonObject:
        conversation, items = self._of(request), _new_items(body)
        conversation.refuse_if_busy()
        conversation.add(items)
        return {
            "object": "list",
            "data": items,
            "first_id": items[0]["id"] if items else None,
            "last_id": items[-1]["id"] if items else None,
            "has_more": False,
        }

    def _list_items(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return paginate(self._of(request).items.values(), request)

    def _retrieve_item(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return _item_of(request, self._of(request))

    def _delete_item(self, request: web.Request, _body: JsonObject) -> JsonObject:
        conversation = self._of(request)
        conversation.refuse_if_busy()
        del conversation.items[_item_of(request, conversation)["id"]]
        return conversation.as_json()

    def _of(self, request: web.Request) -> Conversation:
        return self.get(request.match_info["conversation"])


def _item_of(request: web.Request, conversation: Conversation) -> JsonObject:
    number = request.match_info["item"]
    found = conversation.items.get(number)
    if found is None:
        raise ApiError(404, f"Item with id '{number}' not found.")
    return found


def _new_items(body: JsonObject) -> list[JsonObject]:
    value = body.get("items")
    if isinstance(value, list) and len(value) > _MOST_ITEMS:
        raise InvalidRequestError(
            f"Invalid 'items': array too long. Expected an array with maximum length {_MOST_ITEMS}, but got "
            f"an array with length {len(value)} instead.",
            param="items",
            code="array_above_max_length",
        )
    return read_items(value, where="items")
