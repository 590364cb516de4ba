"""Servers to put in the place of a provider and of rest_service: they do as they are told, byte for byte."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from assistant.src.utils.text import compact_json
from service_kit.contracts.assistants import AssistantTree
from service_kit.contracts.users import UserRead, UserRole

STOP = "stop"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `length` promises another number of bytes than come.

    `hang` sends nothing at all, `drip` spaces for ever, `stall` the body and then nothing more.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hang: bool = False
    drip: bool = False
    stall: bool = False


def completion(text: str | None = "Hello", **message: Any) -> Reply:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "standin-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": "tool_calls" if "tool_calls" in message else STOP,
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8},
        },
    }
    return Reply(compact_json(body).encode())


def events(*data: Any, done: bool = True, missing: int = 0, stall: bool = False) -> Reply:
    """A stream of these (JSON, or bytes as they are), whole or `missing` bytes at its end."""
    parts = [item if isinstance(item, bytes) else compact_json(item).encode() for item in data]
    body = b"".join(b"data: " + part + b"\n\n" for part in [*parts, *([b"[DONE]"] if done else [])])
    headers = {"Content-Type": "text/event-stream"}
    return Reply(body, headers=headers, length=len(body) + missing if missing else None, stall=stall)


def chunk(text: str | None = None, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a streamed answer."""
    return {"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]}


def error(status: int, *, code: str | None = None, message: str = "no", **headers: str) -> Reply:
    body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(compact_json(body).encode(), status=status, headers=named)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class HttpStandIn:
    """Answers each request with what `respond` says; an async context manager."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    def respond(self, request: Request) -> Reply:
        """The reply to one request."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._closing.set()
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._send(self.respond(await _read(reader)), writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        """Send it; whether the connection may be used again."""
        if reply.hang:
            await self._closing.wait()
            return False
        length = len(reply.body) if reply.length is None else reply.length
        lines = {"Content-Type": "application/json", "Content-Length": str(length)} | reply.headers
        start = f"HTTP/1.1 {reply.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        writer.write(start.encode() + b"\r\n")
        if reply.drip:
            while not self._closing.is_set():
                writer.write(b" ")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), 0.02)
            return False
        writer.write(reply.body)
        await writer.drain()
        if reply.stall:
            await self._closing.wait()
        return length == len(reply.body)


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    method, target, _ = first.split(" ")
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


Answerer = Callable[[dict[str, Any]], Reply]


class StandIn(HttpStandIn):
    """A provider: plays its replies in order and then repeats the last."""

    def __init__(self, *replies: Reply | Answerer) -> None:
        super().__init__()
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def respond(self, request: Request) -> Reply:
        assert request.target == "/v1/chat/completions"
        step = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(json.loads(request.body or b"{}"))
        self.headers.append(request.headers)
        return step if isinstance(step, Reply) else step(self.requests[-1])


class RestStandIn(HttpStandIn):
    """rest_service as far as this service reads it; tests change its rows, and take it away."""

    def __init__(self, *users: UserRead, trees: Sequence[AssistantTree] = ()) -> None:
        super().__init__()
        self.users = {user.id: user for user in users}
        self.trees = list(trees)
        self.down = False
        self.key = "key"
        self.discards: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.usage: list[dict[str, Any]] = []

    def respond(self, request: Request) -> Reply:
        path = urlsplit(request.target).path
        self.requests.append(path)
        if self.down:
            return _json({"code": "unavailable", "message": "down"}, status=503)
        if path.startswith("/api") and request.headers.get("authorization") != f"Bearer {self.key}":
            return _json({"code": "unauthorized", "message": "the key is wrong"}, status=401)
        if request.method == "DELETE" and path.startswith("/api/discards/"):
            self.discards = [row for row in self.discards if str(row["id"]) != path.rpartition("/")[2]]
            return _json(None)
        if path == "/api/usage":
            records = json.loads(request.body)
            self.usage += records
            return _json({"stored": len(records)})
        found = self._find(path)
        return _json({"code": "not_found", "message": "no"}, status=404) if found is None else _json(found)

    def _user(self, user_id: str) -> UserRead | None:
        if user_id == "owner":
            return next((user for user in self.users.values() if user.role is UserRole.OWNER), None)
        return self.users.get(int(user_id))

    def _find(self, path: str) -> Any:
        roots = {str(tree.root_id): tree for tree in self.trees}
        match path.strip("/").split("/"):
            case ["health"]:
                return {"service": "rest_service", "status": "ok", "checks": {}}
            case ["api", "users", user_id] if user := self._user(user_id):
                return user.model_dump(mode="json")
            case ["api", "assistants"]:
                rows = [row for tree in self.trees for row in tree.assistants if row.id == tree.root_id]
                return [row.model_dump(mode="json") for row in rows]
            case ["api", "assistants", assistant_id] if assistant_id in roots:
                return roots[assistant_id].assistants[0].model_dump(mode="json")
            case ["api", "discards"]:
                return self.discards
            case ["api", "tools"]:
                return [row.model_dump(mode="json") for tree in self.trees for row in tree.tools]
            case ["api", "assistants", assistant_id, "tree"] if assistant_id in roots:
                return roots[assistant_id].model_dump(mode="json")
            case _:
                return None


def _json(value: Any, *, status: int = 200) -> Reply:
    return Reply(compact_json(value).encode(), status=status)
