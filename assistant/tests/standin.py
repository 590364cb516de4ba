"""A Chat Completions server to put in a provider's place: it does as it is told, byte for byte."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from assistant.src.utils.text import compact_json

STOP = "stop"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `length` promises another number of bytes than come, `wait` holds it back."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hang: bool = False
    drip: bool = False


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


def error(status: int, *, code: str | None = None, message: str = "no", **headers: str) -> Reply:
    body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(compact_json(body).encode(), status=status, headers=named)


Answerer = Callable[[dict[str, Any]], Reply]


class StandIn:
    """Plays its replies in order and then repeats the last; an async context manager."""

    def __init__(self, *replies: Reply | Answerer) -> None:
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "StandIn":
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
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        request = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
        assert head[0] == "POST /v1/chat/completions HTTP/1.1"
        step = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        self.headers.append(headers)
        reply = step if isinstance(step, Reply) else step(request)
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
        return length == len(reply.body)
