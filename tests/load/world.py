"""Telegram and the LLM as cheaply as possible, in the measuring process itself.

The sandbox would answer as well, but here the stand-in's own processor time must not be what is
measured: no checks, no storage, one dictionary look-up a request. A question is `q<n>`, the model
answers `a<n>`, so that every answer can be told and timed. With `tool_round` the model asks for the time
first: two calls of it for one answer, which share the latency.
"""

import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_QUESTION = re.compile(r"\bq(\d+)\b")
FIRST_CHAT = 700_000_000


@dataclass
class Answer:
    """One message the bot sent."""

    at: float
    chat: int
    text: str


@dataclass
class World:
    """Plays Telegram and the LLM on one port; all times are `time.monotonic()`."""

    model_latency: float = 0.0
    """Seconds for one answer; with a tool round half of it for each of the two calls."""
    tool_round: bool = False
    asked: dict[int, float] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    first_answer: dict[int, float] = field(default_factory=dict)
    times_answered: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    order_by_chat: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    model_calls: int = 0
    calls_for: Counter[int] = field(default_factory=Counter)
    """How often the model was asked, by question; with `tool_round` twice is once each."""
    tool_results: int = 0
    """Requests that brought the result of a tool."""
    port: int = 0
    _updates: list[dict[str, Any]] = field(default_factory=list)
    _next_update: int = field(default_factory=lambda: int(time.time()))
    _next_question: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base address; `/telegram` and `/openai/v1` are below it."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/telegram/{token}/getUpdates", self._get_updates)
        app.router.add_route("*", "/telegram/{token}/sendMessage", self._send_message)
        app.router.add_route("*", "/telegram/{token}/getMe", self._get_me)
        app.router.add_route("*", "/telegram/{token}/{method}", self._any_method)
        app.router.add_post("/openai/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()

    def reset(self, *, model_latency: float) -> None:
        """A new measurement: nothing asked, nothing answered."""
        self.model_latency = model_latency
        for store in (self.asked, self.answers, self.first_answer, self.times_answered, self.order_by_chat):
            store.clear()
        self.calls_for.clear()
        self.model_calls = self.tool_results = 0

    def ask(self, user: int) -> int:
        """The `user`-th person asks; returns the question's number."""
        number = self.next_question()
        self.say(user, f"q{number}")
        return number

    def next_question(self) -> int:
        """The number of a question that is asked now, by whatever way."""
        number = self._next_question
        self._next_question += 1
        self.asked[number] = time.monotonic()
        return number

    def say(self, user: int, text: str) -> None:
        """The `user`-th person writes `text`."""
        chat = FIRST_CHAT + user
        update_id = self._next_update
        self._next_update += 1
        message = {
            "message_id": update_id,
            "date": int(time.time()),
            "chat": {"id": chat, "type": "private", "first_name": f"U{user}"},
            "from": {"id": chat, "is_bot": False, "first_name": f"U{user}", "language_code": "en"},
            "text": text,
        }
        self._updates.append({"update_id": update_id, "message": message})
        self._news.set()

    async def all_answered(self, within: float) -> bool:
        """Wait until each question has an answer; False when `within` seconds are over."""
        deadline = time.monotonic() + within
        while len(self.first_answer) < len(self.asked):
            self._answered.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._answered.wait(), min(left, 1.0))
            except TimeoutError:
                continue
        return True

    async def _get_updates(self, request: web.Request) -> web.Response:
        params = await _params(request)
        offset, limit = int(params.get("offset") or 0), int(params.get("limit") or 100)
        timeout = float(params.get("timeout") or 0)
        deadline = time.monotonic() + timeout
        while True:
            while self._updates and self._updates[0]["update_id"] < offset:
                self._updates.pop(0)
            if self._updates or time.monotonic() >= deadline:
                return _ok(self._updates[:limit])
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                continue

    async def _send_message(self, request: web.Request) -> web.Response:
        params = await _params(request)
        chat, text = int(params["chat_id"]), str(params["text"])
        self.note_answer(chat, text)
        return _ok(
            {
                "message_id": len(self.answers),
                "date": 0,
                "chat": {"id": chat, "type": "private"},
                "text": text,
            }
        )

    def note_answer(self, chat: int, text: str) -> None:
        """The bot has said `text`, this moment."""
        now = time.monotonic()
        self.answers.append(Answer(now, chat, text))
        if text.startswith("a") and text[1:].isdigit():
            number = int(text[1:])
            self.times_answered[number] += 1
            if number not in self.first_answer:
                self.first_answer[number] = now
                self.order_by_chat[chat].append(number)
            self._answered.set()

    async def _get_me(self, _request: web.Request) -> web.Response:
        return _ok({"id": 100000, "is_bot": True, "first_name": "Load", "username": "load_bot"})

    async def _any_method(self, _request: web.Request) -> web.Response:
        return _ok(result=True)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.model_calls += 1
        messages = body["messages"]
        answers_tool = messages[-1]["role"] == "tool"
        self.tool_results += answers_tool
        asked = next(message for message in reversed(messages) if message["role"] == "user")
        numbers = _QUESTION.findall(str(asked["content"]))
        self.calls_for.update(int(number) for number in numbers[-1:])
        if self.model_latency:
            await asyncio.sleep(self.model_latency / (2 if self.tool_round else 1))
        if self.tool_round and not answers_tool:
            choice = _tool_call(f"call_{numbers[-1]}")
        else:
            choice = {"role": "assistant", "content": f"a{numbers[-1]}" if numbers else "hello"}
        return web.json_response(
            {
                "id": "chatcmpl-load",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "tool_calls" if "tool_calls" in choice else "stop",
                        "message": choice,
                    }
                ],
                "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
            }
        )


def _tool_call(call_id: str) -> dict[str, Any]:
    """The model's wish to know the time, by the tool of the default rows."""
    function = {"name": "current_time", "arguments": '{"timezone": "Asia/Tokyo"}'}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


async def _params(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(json.loads(await request.read()))
    return dict(request.query) | dict(await request.post())


def _ok(result: Any) -> web.Response:
    return web.Response(
        body=json.dumps({"ok": True, "result": result}).encode(), content_type="application/json"
    )
