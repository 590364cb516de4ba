"""`/openai/v1`: all of it. Any key and any model name are welcome; all models are the scripted one."""

from collections import deque
from functools import partial

from aiohttp import web

from ..faults import Fault, FaultBoard
from ..model.conversation import JsonObject
from ..stats import Stats
from .answering import answer
from .chat_request import ChatRequest, read_chat_request
from .classic.api import ClassicApi
from .completion import Completion
from .conversations import Conversations
from .errors import ApiError
from .events import DONE, event, stream
from .front import Front, Job
from .pace import Pace
from .responses import Responses

MODELS = ("sandbox-demo",)


class OpenAIApi:
    """Chat Completions and the list of models; hands the rest to the other protocols."""

    def __init__(self, stats: Stats, faults: FaultBoard, pace: Pace) -> None:
        self._pace = pace
        self._front = Front(stats, faults)
        self._conversations = Conversations()
        self._responses = Responses(self._conversations, pace)
        self._classic = ClassicApi(pace)

    @property
    def requests(self) -> deque[bytes]:
        """The newest bodies of calls that asked the model."""
        return self._front.requests

    def add_routes(self, app: web.Application) -> None:
        """The paths below the base URL."""
        self._front.model_route(app, "/chat/completions", "chat.completions", self._chat)
        self._front.plain_route(app, "GET", "/models", "models", _models)
        self._responses.add_routes(app, self._front)
        self._conversations.add_routes(app, self._front)
        self._classic.add_routes(app, self._front)
        app.router.add_route("*", "/openai/{rest:.*}", _unknown)

    def clear(self) -> None:
        """Forget what was asked and what is kept for the clients."""
        self.requests.clear()
        self._responses.clear()
        self._conversations.clear()
        self._classic.clear()

    def _chat(self, request: web.Request, body: JsonObject) -> Job:
        chat = read_chat_request(body)
        return Job(partial(self._complete, request, chat), model=chat.model, streamed=chat.stream)

    async def _complete(
        self, request: web.Request, chat: ChatRequest, broken: Fault | None
    ) -> web.StreamResponse:
        await self._pace.think()
        completion = Completion.of(answer(chat.question), chat.model)
        if not chat.stream:
            return web.json_response(completion.as_json(), headers={"x-request-id": completion.id})
        events = [event(chunk) for chunk in completion.chunks(include_usage=chat.include_usage)]
        return await stream(
            request, [*events, DONE], pace=self._pace, broken=broken, request_id=completion.id
        )


def _models(_request: web.Request, _body: JsonObject) -> JsonObject:
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in MODELS]
    return {"object": "list", "data": listed}


async def _unknown(request: web.Request) -> web.Response:
    return ApiError(404, f"Invalid URL ({request.method} {request.path.removeprefix('/openai')})").response()
