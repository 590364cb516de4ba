"""`/control`: faults, the model's pace, counters and what was sent; for tests and benchmarks."""

import asyncio
import json
from dataclasses import asdict

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from .bodies import read
from .faults import Fault, FaultBoard
from .guard import Guard, Handler, problem
from .openai.api import OpenAIApi
from .openai.pace import Pace
from .stats import Stats
from .telegram.messenger import Messenger

MAX_WAIT = 60.0
LARGEST = 2.0**53
"""Of the numbers in a query; whatever is larger means as many as there are."""


class NewPace(BaseModel):
    """How the model shall think from now on; fields not sent stay as they are. Seconds."""

    model_config = ConfigDict(extra="forbid")

    latency: float | None = Field(default=None, ge=0)
    jitter: float | None = Field(default=None, ge=0)
    chunk: float | None = Field(default=None, ge=0)


class SaidMessage(BaseModel):
    """A message that a person shall have written."""

    person_id: int
    text: str = Field(min_length=1)


class ManyMessages(BaseModel):
    """A burst."""

    messages: list[SaidMessage]


class Control:
    """What tests turn."""

    def __init__(
        self,
        *,
        messenger: Messenger,
        stats: Stats,
        faults: FaultBoard,
        pace: Pace,
        openai: OpenAIApi,
        guard: Guard,
    ) -> None:
        self._messenger = messenger
        self._stats = stats
        self._faults = faults
        self._pace = pace
        self._openai = openai
        self._guard = guard

    def add_routes(self, app: web.Application) -> None:
        """All behind the guard."""
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("POST", "/control/faults", self._add_fault),
            ("GET", "/control/faults", self._list_faults),
            ("DELETE", "/control/faults", self._clear_faults),
            ("POST", "/control/model", self._set_pace),
            ("POST", "/control/reset", self._reset),
            ("POST", "/control/messages", self._say_many),
            ("GET", "/control/stats", self._show_stats),
            ("GET", "/control/sent", self._list_sent),
            ("GET", "/control/requests", self._list_requests),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, self._guard(handler))

    async def _add_fault(self, request: web.Request) -> web.Response:
        self._faults.add(await read(request, Fault))
        return await self._list_faults(request)

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"faults": [fault.model_dump(exclude_none=True) for fault in self._faults.faults]}
        )

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return await self._list_faults(request)

    async def _set_pace(self, request: web.Request) -> web.Response:
        wanted = await read(request, NewPace)
        for name, value in wanted.model_dump(exclude_none=True).items():
            setattr(self._pace, name, value)
        return web.json_response(asdict(self._pace))

    async def _reset(self, _request: web.Request) -> web.Response:
        """Forgets people, messages, updates, conversations, faults and counters; the pace stays."""
        self._messenger.reset()
        self._faults.clear()
        self._stats.clear()
        self._openai.clear()
        return web.json_response({"ok": True})

    async def _say_many(self, request: web.Request) -> web.Response:
        """Many messages in one call, in the order given: a burst without a burst of requests."""
        wanted = await read(request, ManyMessages)
        said = []
        for item in wanted.messages:
            chat = self._messenger.chat(item.person_id)
            if chat is None:
                return problem(404, "not_found", f"There is no person {item.person_id}.")
            message, update_id = self._messenger.say(chat, item.text)
            said.append({"number": message.number, "update_id": update_id})
        return web.json_response({"messages": said})

    async def _show_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "calls": dict(self._stats.calls),
                "faults": dict(self._stats.faults),
                "sent": self._stats.total_sent,
                "repeated": self._stats.repeated,
                "people": len(self._messenger.chats),
            }
        )

    async def _list_sent(self, request: web.Request) -> web.Response:
        """Texts that bots sent, with numbers above `after`; waits up to `wait` seconds for the first."""
        after = _number(request, "after")
        # what is there is answered at once
        if not self._stats.list_sent_after(int(after)):
            async with asyncio.timeout(MAX_WAIT + 1):
                await self._stats.changed.wait(min(_number(request, "wait"), MAX_WAIT))
        return web.json_response({"sent": [asdict(sent) for sent in self._stats.list_sent_after(int(after))]})

    async def _list_requests(self, request: web.Request) -> web.Response:
        """The newest request bodies that the model got, oldest first; `target` is always openai."""
        limit = int(_number(request, "limit")) or len(self._openai.requests)
        bodies = list(self._openai.requests)[-limit:]
        return web.json_response({"requests": [_readable(body) for body in bodies]})


def _readable(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _number(request: web.Request, name: str) -> float:
    try:
        return min(max(0.0, float(request.query.get(name, 0))), LARGEST)
    except ValueError:
        return 0.0
