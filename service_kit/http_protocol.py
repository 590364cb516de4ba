"""Uvicorn's HTTP protocol within `http_limits`. Uvicorn itself limits neither a head's size nor its time."""

import asyncio
from typing import TYPE_CHECKING

from service_kit import http_limits

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
else:
    _Protocol = object


def make_bounded_protocol() -> type[asyncio.Protocol]:
    """The protocol for `uvicorn.Config(http=…)`; uvicorn is imported here, for not every service has it."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415

    return type("BoundedProtocol", (_Bounds, HttpToolsProtocol), {})


class _Bounds(_Protocol):
    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    """Whether the next bytes belong to a request's line and headers."""
    _heads = 0
    """Heads of requests that have come in whole."""
    _received = 0
    """Bytes of the head, or of the body, of the request that comes in."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_head, heads = self._in_head, self._heads
        super().data_received(data)
        # a head that ended within this piece was within the piece's size; the next one may have begun since
        if in_head and self._heads == heads:
            self._received += len(data)
            if self._received > http_limits.MAX_HEAD:
                self._refuse(431, b"Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._received = True, 0
        self._start_deadline()

    def on_headers_complete(self) -> None:
        self._in_head, self._received = False, 0
        self._heads += 1
        # refused before the app reads it; a chunked body has no length and is counted in `on_body`
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > http_limits.MAX_BODY:
            self._refuse(413, b"Content Too Large")
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._received > http_limits.MAX_BODY:
            self._refuse(413, b"Content Too Large")
        elif not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._cancel_deadline()
        self._in_head, self._received = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def _start_deadline(self) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(http_limits.RECEIVE_TIMEOUT, self._on_deadline)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _on_deadline(self) -> None:
        if self.flow.read_paused:  # the app is slow, not the sender
            self._start_deadline()
        else:
            self._refuse(408, b"Request Timeout")

    def _refuse(self, status: int, reason: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # no answer is under way
            self.transport.write(
                b"HTTP/1.1 %d %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason)
            )
        self.transport.close()
