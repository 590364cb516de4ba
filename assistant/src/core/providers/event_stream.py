"""The events of a streamed answer: how long they may take to come, and how many may come."""

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx2

from ..errors import AnswerTooLargeError, ModelTimeoutError, ModelUnavailableError
from . import bounds
from .client_errors import translate_errors
from .sse import SSE, SSEDecoder

DRAIN = 0.1
"""Seconds for the last bytes of a stream whose end was seen: read to them, the connection is kept."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_token` ends with the first event of a stream, `stall` is between two events.

    A comment in the stream, by which a server says that it is still at work, counts as an event.
    """

    connect: float = 5.0
    first_token: float = 30.0
    stall: float = 30.0
    whole: float = 60.0


class StreamDeadline:
    """How long one stream may still take to say something."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._since = self._started = self._loop.time()
        self._until = self._within(timeouts.first_token)

    def _within(self, seconds: float) -> float:
        return min(self._since + seconds, self._started + self._timeouts.whole)

    def restart(self) -> None:
        """An event came."""
        self._since = self._loop.time()
        self._until = self._within(self._timeouts.stall)

    def allow_whole(self) -> None:
        """The server answers in one piece."""
        self._until = self._within(self._timeouts.whole)

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Around each wait for the server; raises our errors."""
        try:
            with translate_errors():
                async with asyncio.timeout_at(self._until):
                    yield
        except TimeoutError as exc:
            now = self._loop.time()
            msg = f"nothing came for {now - self._since:.1f} s, {now - self._started:.1f} s after the start"
            raise ModelTimeoutError(msg) from exc


async def events_of(response: httpx2.Response, deadline: StreamDeadline) -> AsyncGenerator[SSE, None]:
    """The events as they arrive; one with `whole` from a server that does not stream.

    Raises:
        ModelUnavailableError: on a stall, a disconnect, and after the whole time.
        AnswerTooLargeError: the stream, or one event of it, has no end.
    """
    async with aclosing(_chunks(response, deadline)) as chunks:
        head = await _head(chunks)
        # no line of an event stream begins like this, whatever the content type says
        if head.startswith((b"{", b"[")):
            deadline.allow_whole()
            yield SSE("", await _whole(head, chunks), whole=True)
            return
        count = 0
        async with aclosing(_decode(head, chunks, deadline)) as events:
            async for event in events:
                yield event
                deadline.restart()
                count += 1
                bounds.check_size(count, bounds.EVENTS, "events")
                if count % bounds.EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)


async def drain(events: AsyncIterator[SSE]) -> None:
    """Read to the end of a stream that has said its last word."""
    with suppress(TimeoutError, ModelUnavailableError, AnswerTooLargeError):
        async with asyncio.timeout(DRAIN):
            async for _ in events:
                pass


async def _chunks(response: httpx2.Response, deadline: StreamDeadline) -> AsyncGenerator[bytes, None]:
    """The bytes as they arrive, decompressed; other tasks get their turn after each piece."""
    chunks, size = response.aiter_bytes(), 0
    while True:
        async with deadline.limit():
            chunk = await anext(chunks, None)
            await asyncio.sleep(0)  # chunks that are there already are given without a pause
        if chunk is None:
            return
        size += len(chunk)
        bounds.check_size(size, bounds.STREAM, "bytes")
        yield chunk[: bounds.CHUNK]
        for start in range(bounds.CHUNK, len(chunk), bounds.CHUNK):  # a compressed one may unfold
            await asyncio.sleep(0)
            yield chunk[start : start + bounds.CHUNK]


async def _whole(start: bytes, chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray(start)
    async for chunk in chunks:
        body += chunk
        bounds.check_size(len(body), bounds.BODY, "bytes")
    return bytes(body)


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    """The first bytes, enough to tell a stream from a body; without white space and byte order mark."""
    head = b""
    async for chunk in chunks:
        head = (head + chunk).lstrip()
        if head and not BOM_UTF8.startswith(head):
            break
    return head.removeprefix(BOM_UTF8).lstrip()


async def _decode(
    head: bytes, chunks: AsyncIterator[bytes], deadline: StreamDeadline
) -> AsyncGenerator[SSE, None]:
    decoder = SSEDecoder()
    chunk: bytes | None = head
    while chunk is not None:
        lines = decoder.lines
        for event in decoder.feed(chunk):
            yield event
        if decoder.lines > lines:
            deadline.restart()  # a comment: the server is still at work (OpenRouter, while it queues)
        chunk = await anext(chunks, None)
    for event in decoder.finish():
        yield event
