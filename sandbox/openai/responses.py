"""`/responses`: the model asked with the whole input, after another response, or in a conversation."""

from dataclasses import dataclass
from functools import partial

from aiohttp import web

from ..faults import Fault
from ..model.conversation import JsonObject
from .answering import Question, answer
from .conversations import Conversation, Conversations
from .errors import InvalidRequestError
from .events import event, stream
from .front import Front, Job
from .items import check_calls, read_items, to_messages
from .lru import LRUStore
from .pace import Pace
from .pages import paginate
from .response import Response
from .response_request import ResponseRequest, read_response_request

_KEPT = 10_000
_ITEMS_KNOWN = 50_000


@dataclass(frozen=True, slots=True)
class _Stored:
    """A response that can be asked for again; `input` is all that it was made from."""

    body: JsonObject
    input: tuple[JsonObject, ...]
    output: tuple[JsonObject, ...]


class Responses:
    """Makes responses and keeps them, in memory, the newest ten thousand."""

    def __init__(self, conversations: Conversations, pace: Pace) -> None:
        self._conversations = conversations
        self._pace = pace
        self._store: LRUStore[_Stored] = LRUStore(_KEPT, "Response with id '{}' not found.".format)
        self._items: LRUStore[JsonObject] = LRUStore(_ITEMS_KNOWN, "Item with id '{}' not found.".format)

    def add_routes(self, app: web.Application, front: Front) -> None:
        """The paths below `/responses`."""
        one = "/responses/{response}"
        front.model_route(app, "/responses", "responses.create", self._create)
        front.plain_route(app, "GET", one, "responses.retrieve", self._retrieve)
        front.plain_route(app, "DELETE", one, "responses.delete", self._delete)
        front.plain_route(app, "POST", f"{one}/cancel", "responses.cancel", self._cancel)
        front.plain_route(app, "GET", f"{one}/input_items", "responses.input_items", self._list_input)

    def clear(self) -> None:
        """Forget all."""
        self._store.clear()
        self._items.clear()

    def _create(self, request: web.Request, body: JsonObject) -> Job:
        wanted = read_response_request(body)
        return Job(
            partial(self._respond, request, wanted), model=wanted.model, streamed=wanted.stream, may_fail=True
        )

    async def _respond(
        self, request: web.Request, wanted: ResponseRequest, broken: Fault | None
    ) -> web.StreamResponse:
        """In a conversation nobody else may respond meanwhile, until the last event is out."""
        if wanted.conversation is None:
            return await self._answer(request, wanted, None, broken)
        conversation = self._conversations.get(wanted.conversation)
        conversation.refuse_if_busy()
        conversation.busy = True
        try:
            return await self._answer(request, wanted, conversation, broken)
        finally:
            conversation.busy = False

    async def _answer(
        self,
        request: web.Request,
        wanted: ResponseRequest,
        conversation: Conversation | None,
        broken: Fault | None,
    ) -> web.StreamResponse:
        new = read_items(wanted.body.get("input") or [], lookup=self._items.find)
        items = (*self._before(wanted, conversation), *new)
        # as strict as the original: a call without an output would break the conversation there
        check_calls(items)
        await self._pace.think()
        response = Response.of(
            answer(
                Question(
                    messages=to_messages(wanted.instructions, items),
                    tools=wanted.tools,
                    forced=wanted.forced,
                    parallel=wanted.parallel,
                    max_tokens=wanted.max_tokens,
                )
            ),
            wanted,
            failed=broken is not None and broken.kind == "fail",
        )
        # a stream that breaks may have taken effect: clients must cope with both
        if broken is None or broken.takes_effect:
            self._keep(response, items)
            if conversation is not None:
                conversation.add((*new, *response.output))
        if not wanted.stream:
            return web.json_response(response.as_json(), headers={"x-request-id": response.id})
        return await stream(
            request,
            [event(part, part["type"]) for part in response.events()],
            pace=self._pace,
            broken=broken if broken is not None and broken.breaks_streams else None,
            request_id=response.id,
        )

    def _before(self, wanted: ResponseRequest, conversation: Conversation | None) -> tuple[JsonObject, ...]:
        """What was said before this request."""
        if conversation is not None:
            return tuple(conversation.items.values())
        if wanted.previous is None:
            return ()
        previous = self._store.find(wanted.previous)
        if previous is None:
            raise InvalidRequestError(
                f"Previous response with id '{wanted.previous}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return (*previous.input, *previous.output)

    def _keep(self, response: Response, items: tuple[JsonObject, ...]) -> None:
        if response.request.store:
            self._store.put(response.id, _Stored(response.as_json(), items, response.output))
            for item in response.output:
                self._items.put(item["id"], item)

    def _retrieve(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return self._of(request).body

    def _delete(self, request: web.Request, _body: JsonObject) -> JsonObject:
        self._store.drop(request.match_info["response"])
        return {"id": request.match_info["response"], "object": "response.deleted", "deleted": True}

    def _cancel(self, request: web.Request, _body: JsonObject) -> JsonObject:
        self._of(request)
        raise InvalidRequestError("Cannot cancel a synchronous response.")

    def _list_input(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return paginate(self._of(request).input, request)

    def _of(self, request: web.Request) -> _Stored:
        return self._store.get(request.match_info["response"])
