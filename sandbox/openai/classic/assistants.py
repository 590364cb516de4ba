"""`/assistants`: name, model, instructions and tools, kept at the provider."""

import time

from aiohttp import web

from ...model.conversation import JsonObject
from ..answering import new_id
from ..checks import read_metadata, read_model, read_nested_tools
from ..front import Plain
from ..lru import LRUStore
from ..pages import paginate

_KEPT = 1000
_FIELDS: JsonObject = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
    "tool_resources": {},
}
"""What may be told of an assistant besides its model and metadata, and what it is untold."""


class Assistants:
    """All assistants, in memory."""

    def __init__(self) -> None:
        self._store: LRUStore[JsonObject] = LRUStore(_KEPT, "No assistant found with id '{}'.".format)

    def routes(self) -> tuple[tuple[str, str, str, Plain], ...]:
        """Verb, path, name for faults, and what to do."""
        one = "/assistants/{assistant}"
        return (
            ("POST", "/assistants", "assistants.create", self._create),
            ("GET", "/assistants", "assistants.list", self._list),
            ("GET", one, "assistants.retrieve", self._retrieve),
            ("POST", one, "assistants.update", self._update),
            ("DELETE", one, "assistants.delete", self._delete),
        )

    def get(self, number: str) -> JsonObject:
        """The assistant; raises ApiError (404)."""
        return self._store.get(number)

    def clear(self) -> None:
        """Forget all."""
        self._store.clear()

    def _create(self, _request: web.Request, body: JsonObject) -> JsonObject:
        read_nested_tools(body)
        made: JsonObject = {
            "id": new_id("asst_"),
            "object": "assistant",
            "created_at": int(time.time()),
            "model": read_model(body),
            "metadata": read_metadata(body),
        }
        made |= {name: usual if body.get(name) is None else body[name] for name, usual in _FIELDS.items()}
        self._store.put(made["id"], made)
        return made

    def _list(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return paginate(sorted(self._store, key=lambda made: str(made["id"])), request)

    def _retrieve(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return self.get(request.match_info["assistant"])

    def _update(self, request: web.Request, body: JsonObject) -> JsonObject:
        assistant = self.get(request.match_info["assistant"])
        read_nested_tools(body)
        changed = {name: body[name] for name in ("model", "metadata", *_FIELDS) if name in body}
        changed |= {"metadata": read_metadata(body)} if "metadata" in body else {}
        # runs that have begun keep the assistant that they began with
        updated = assistant | changed
        self._store.put(updated["id"], updated)
        return updated

    def _delete(self, request: web.Request, _body: JsonObject) -> JsonObject:
        dropped = self._store.drop(request.match_info["assistant"])
        return {"id": dropped["id"], "object": "assistant.deleted", "deleted": True}
