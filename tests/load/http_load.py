"""A load client that costs little: keep-alive connections, requests made beforehand, answers only counted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

Request = Callable[[], bytes]
"""Makes the bytes of one request."""


def get(path: str, key: str) -> bytes:
    """A GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def post(path: str, key: str, body: bytes) -> bytes:
    """A POST of JSON as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Outcome:
    """What a round has given."""

    statuses: dict[int, int] = field(default_factory=dict)
    """How many answers of each status; 0 is a connection that was cut."""
    seconds: list[float] = field(default_factory=list)
    """From request to answer."""
    took: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.took if self.took else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds within which `share` of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, request: Request, outcome: Outcome, deadline: float) -> None:
        self._request = request
        self._outcome = outcome
        self._deadline = deadline
        self._waiting = b""
        self._needed = 0
        self._status = 0
        self._sent = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # TCP; uvloop's is no subclass
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        if self._sent >= self._deadline:
            self._transport.close()
            return
        self._transport.write(self._request())

    def data_received(self, data: bytes) -> None:
        if self._needed:  # the rest of a body
            self._needed -= len(data)
        else:
            self._waiting += data
            end = self._waiting.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._waiting[:end].lower()
            start = head.index(b"content-length:") + 15
            length = int(head[start:].split(b"\r\n", 1)[0])
            self._status = int(head[9:12])
            self._needed = length - (len(self._waiting) - end - 4)
            self._waiting = b""
        if self._needed <= 0:
            self._needed = 0
            outcome = self._outcome
            outcome.seconds.append(time.perf_counter() - self._sent)
            outcome.statuses[self._status] = outcome.statuses.get(self._status, 0) + 1
            self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        if time.perf_counter() < self._deadline:
            self._outcome.statuses[0] = self._outcome.statuses.get(0, 0) + 1
        if not self.over.done():
            self.over.set_result(None)


async def load(port: int, request: Request, *, seconds: float, connections: int = 32) -> Outcome:
    """Ask 127.0.0.1:`port` for `seconds`, each connection one request after the other."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    deadline = started + seconds

    async def one() -> None:
        while time.perf_counter() < deadline:
            try:
                _, protocol = await loop.create_connection(
                    lambda: _Connection(request, outcome, deadline), "127.0.0.1", port
                )
            except OSError:
                outcome.statuses[0] = outcome.statuses.get(0, 0) + 1
                await asyncio.sleep(0.05)
                continue
            await protocol.over

    async with asyncio.timeout(seconds + 30), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one())
    outcome.took = time.perf_counter() - started
    return outcome
