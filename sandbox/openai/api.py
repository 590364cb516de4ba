"""`/openai/v1`: Chat Completions and the list of models."""

import asyncio
import json
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from ..faults import Fault, FaultBoard, cut, suffer
from ..model import scripted
from ..model.conversation import Reply
from ..model.toolbox import Hints, call
from ..stats import Stats
from .chat_request import ChatRequest, read_chat_request
from .completion import Completion
from .errors import ApiError, error_of

MODELS = ("sandbox-demo",)
_METHOD = "chat.completions"
_REQUESTS_KEPT = 100


@dataclass(slots=True)
class Pace:
    """How long the model thinks: `latency` seconds, give or take up to `jitter`; then `chunk` a piece."""

    latency: float = 0.0
    jitter: float = 0.0
    chunk: float = 0.0

    async def think(self) -> None:
        """Let the time pass."""
        seconds = self.latency + random.uniform(-self.jitter, self.jitter)  # noqa: S311 - no secret
        if seconds > 0:
            await asyncio.sleep(seconds)


class OpenAIApi:
    """Any key and any model name are welcome; all models are the scripted one."""

    def __init__(self, stats: Stats, faults: FaultBoard, pace: Pace) -> None:
        self._stats = stats
        self._faults = faults
        self._pace = pace
        self.requests: deque[bytes] = deque(maxlen=_REQUESTS_KEPT)
        """The newest request bodies, for tests."""

    def add_routes(self, app: web.Application) -> None:
        """The paths below the base URL."""
        app.router.add_post("/openai/v1/chat/completions", self._chat)
        app.router.add_get("/openai/v1/models", self._models)
        app.router.add_route("*", "/openai/{rest:.*}", self._unknown)

    async def _unknown(self, request: web.Request) -> web.Response:
        return ApiError(
            404, f"Invalid URL ({request.method} {request.path.removeprefix('/openai')})"
        ).response()

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self._stats.count("openai", "models")

        async def proceed() -> web.Response:
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in MODELS]
            return web.json_response({"object": "list", "data": listed})

        refused = _key_refused(request)
        if refused is not None:
            return refused
        fault = self._faults.take("openai", "models")
        return await (proceed() if fault is None else suffer(fault, request, proceed, error_of))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._stats.count("openai", _METHOD)
        refused = _key_refused(request)
        if refused is not None:
            return refused
        body = await request.read()
        self.requests.append(body)
        try:
            chat = read_chat_request(body)
        except ApiError as error:
            return error.response()
        fault = self._faults.take("openai", _METHOD, model=chat.model)
        if fault is None:
            return await self._answer(request, chat, None)
        self._stats.faults[f"openai.{fault.kind}"] += 1
        if chat.stream and (fault.kind == "truncate" or (fault.kind == "disconnect" and fault.after)):
            return await self._answer(request, chat, fault)

        async def proceed() -> web.StreamResponse:
            return await self._answer(request, chat, None)

        return await suffer(fault, request, proceed, error_of)

    async def _answer(
        self, request: web.Request, chat: ChatRequest, broken: Fault | None
    ) -> web.StreamResponse:
        await self._pace.think()
        completion = Completion.of(_reply(chat), chat)
        if chat.stream:
            return await self._stream(request, completion, include_usage=chat.include_usage, broken=broken)
        data = json.dumps(completion.as_json(), separators=(",", ":")).encode()
        return web.Response(
            body=data, content_type="application/json", headers={"x-request-id": completion.id}
        )

    async def _stream(
        self, request: web.Request, completion: Completion, *, include_usage: bool, broken: Fault | None
    ) -> web.StreamResponse:
        """Server-sent events; a `broken` stream stops in the middle, without its terminal event."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "x-request-id": completion.id}
        )
        await response.prepare(request)
        chunks = list(completion.chunks(include_usage=include_usage))
        for chunk in chunks[: len(chunks) // 2] if broken else chunks:
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            if self._pace.chunk:
                await asyncio.sleep(self._pace.chunk)
        if broken is None:
            await response.write(b"data: [DONE]\n\n")
        elif broken.kind == "disconnect":
            cut(request)
            return response
        await response.write_eof()
        return response


def _reply(chat: ChatRequest) -> Reply:
    reply = scripted.answer(chat.messages, chat.tools, datetime.now(UTC))
    answers_tool = chat.messages[-1].role == "tool"
    if chat.forced is None or reply.calls or answers_tool:
        return reply
    tool = next((tool for tool in chat.tools if chat.forced in {tool.name, ""}), chat.tools[0])
    request = next((message.text for message in reversed(chat.messages) if message.role == "user"), "")
    return Reply(calls=(call(tool, Hints(text=request, title=request)),))


def _key_refused(request: web.Request) -> web.Response | None:
    scheme, _space, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return None
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer "
        "auth (i.e. Authorization: Bearer YOUR_KEY).",
    ).response()
