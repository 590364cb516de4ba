"""One provider's connection: what every protocol sends its requests through.

The official client gives keys, addresses, connection pool and error classes. Its raw `post` is used
instead of `chat.completions.create` and its like: those transform every message through typed
dictionaries and build the answer as pydantic objects, 6 ms of processor time a call against 0.9 ms
(openai 3.54, 20 messages, 3 tools). Its aiohttp transport is used because httpx2's pool looks at every
connection at every request: 2.8 ms a call with 200 connections against 1.1 ms.

One call here is one attempt (`retry` tries again), and holds one of the provider's slots.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import quote

import httpx2
import openai

from .errors import BadAnswerError, ModelRefusedError, ModelTimeoutError, ModelUnavailableError
from .refusals import refusal_in_body, wait_asked_for
from .sse import SSE, SSEDecoder

KEEPALIVE = 15.0
"""Seconds that an idle connection is kept; below what providers' load balancers allow."""
DRAIN = 0.1
"""Seconds for the last bytes of a stream whose end was seen: read to them, the connection is kept."""

Method = Literal["GET", "POST", "DELETE"]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_token` ends with the first event of a stream, `stall` is between two events.

    A comment in the stream, by which a server says that it is still at work, counts as an event.
    """

    connect: float = 5.0
    first_token: float = 30.0
    stall: float = 30.0
    whole: float = 60.0


class Provider:
    """One provider for the service's lifetime; connects on first use, closed with `aclose`.

    Requests beyond `concurrency` wait for a slot; that wait does not count as the provider's time and
    ends when the caller is cancelled.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api_key: str | None = None,
        timeouts: Timeouts,
        concurrency: int = 512,
    ) -> None:
        self.name = name
        self.lacks: set[str] = set()
        """Paths at which it turned out to have nothing (`spoken`)."""
        self._base_url = base_url
        self._api_key = api_key
        self._timeouts = timeouts
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._client: openai.AsyncOpenAI | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def request(
        self,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Headers | None = None,
    ) -> bytes:
        """The body of the answer to one request; `path` is below the base URL, such as `/responses`.

        Raises:
            ModelUnavailableError: not reached, too slow, or 408, 409, 425, 429, 5xx.
            ModelRefusedError: refused for good (ContextOverflowError: too long); see `refusals`.
        """
        async with self._slots:
            try:
                with _translated():
                    # the client's own timeout is per read: a server that drips bytes would hold us for ever
                    async with asyncio.timeout(self._timeouts.whole):
                        response = await self._send(method, path, body, headers or {})
            except TimeoutError as exc:
                msg = f"no answer in {self._timeouts.whole:g} s"
                raise ModelTimeoutError(msg) from exc
        return response.content

    async def delete(self, path: str, name: str, *, headers: Headers | None = None) -> None:
        """Delete the thing of this name below `path`; one that is gone already is deleted.

        Raises as `request`.
        """
        try:
            # a name comes from a row, where anybody may have written anything: it stays one step of the path
            await self.request("DELETE", f"{path}/{quote(name, safe='')}", headers=headers)
        except ModelRefusedError as exc:
            if exc.status != 404:
                raise

    def stream(
        self, path: str, body: Mapping[str, Any], *, headers: Headers | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[SSE]]:
        """POSTs `body` and gives the events of the answer as they arrive, until the server ends it.

        Whether the stream was complete only its protocol's terminal event tells: require it. A server
        that does not stream gives one event with `whole`. Entering raises as `request`; the iterator
        raises ModelUnavailableError on a stall, a disconnect, and after the whole time.
        """
        return self._stream(path, body, headers or {})

    @asynccontextmanager
    async def _stream(
        self, path: str, body: Mapping[str, Any], headers: Headers
    ) -> AsyncIterator[AsyncIterator[SSE]]:
        async with self._slots:
            patience = _Patience(self._timeouts)
            async with patience.while_waiting():
                response = await self._open(path, body, headers)
            try:
                async with aclosing(_events(response, patience)) as events:
                    yield events
                    await _drain(events)
            finally:
                await response.aclose()

    async def _send(
        self, method: Method, path: str, body: Mapping[str, Any] | None, headers: Headers
    ) -> httpx2.Response:
        client, options = self._connected(), _options(headers)
        if method == "GET":
            return await client.get(path, options=options, cast_to=httpx2.Response)
        if method == "DELETE":
            return await client.delete(path, options=options, cast_to=httpx2.Response)
        return await client.post(path, content=_json(body or {}), options=options, cast_to=httpx2.Response)

    async def _open(self, path: str, body: Mapping[str, Any], headers: Headers) -> httpx2.Response:
        """The response, its body still to be read; the client's own reader of streams is not used."""
        stream = await self._connected().post(
            path,
            content=_json(body),
            options=_options({"Accept": "text/event-stream", **headers}),
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    def _connected(self) -> openai.AsyncOpenAI:
        if self._client is None:
            limits = httpx2.Limits(max_connections=self._concurrency, keepalive_expiry=KEEPALIVE)
            timeouts = httpx2.Timeout(self._timeouts.whole, connect=self._timeouts.connect)
            self._client = openai.AsyncOpenAI(
                # the client insists on a key; servers that need none ignore it
                api_key=self._api_key or "none",
                base_url=self._base_url,
                timeout=timeouts,
                max_retries=0,
                http_client=openai.DefaultAioHttpClient(limits=limits, timeout=timeouts, verify=_tls()),
            )
        return self._client


@cache
def _tls() -> ssl.SSLContext:
    """Reading the machine's certificates takes 50 ms and more: once for all providers."""
    return httpx2.create_ssl_context()


class _Patience:
    """How long one stream may still take to say something."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._since = self._started = self._loop.time()
        self._limit = self._within(timeouts.first_token)

    def _within(self, seconds: float) -> float:
        return min(self._since + seconds, self._started + self._timeouts.whole)

    def heard(self) -> None:
        """An event came."""
        self._since = self._loop.time()
        self._limit = self._within(self._timeouts.stall)

    def no_stream(self) -> None:
        """The server answers in one piece."""
        self._limit = self._within(self._timeouts.whole)

    @asynccontextmanager
    async def while_waiting(self) -> AsyncIterator[None]:
        """Around each wait for the server; raises our errors."""
        try:
            with _translated():
                async with asyncio.timeout_at(self._limit):
                    yield
        except TimeoutError as exc:
            now = self._loop.time()
            msg = f"nothing came for {now - self._since:.1f} s, {now - self._started:.1f} s after the start"
            raise ModelTimeoutError(msg) from exc


async def _events(response: httpx2.Response, patience: _Patience) -> AsyncGenerator[SSE, None]:
    chunks = response.aiter_bytes()
    decoder = SSEDecoder()
    start, whole = True, bytearray()
    while True:
        async with patience.while_waiting():
            chunk = await anext(chunks, None)
        if chunk is None:
            break
        if start and (chunk := chunk.lstrip()):
            start = False
            # no line of an event stream begins like this, whatever the content type says
            if chunk.startswith((b"{", b"[")):
                patience.no_stream()
                whole += chunk
                continue
        if whole:
            whole += chunk
            continue
        if chunk.startswith(b":"):
            patience.heard()  # a comment: the server is still at work (OpenRouter, while it queues)
        for event in decoder.feed(chunk):
            yield event
            patience.heard()
    if whole:
        yield SSE("", bytes(whole), whole=True)
    for event in decoder.finish():
        yield event


async def _drain(events: AsyncIterator[SSE]) -> None:
    with suppress(TimeoutError, ModelUnavailableError):
        async with asyncio.timeout(DRAIN):
            async for _ in events:
                pass


def _options(headers: Headers) -> openai.RequestOptions:
    return {"headers": {"Content-Type": "application/json", **headers}}


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@contextmanager
def _translated() -> Iterator[None]:
    """The client's errors as ours."""
    try:
        yield
    except openai.APIConnectionError as exc:  # its subclass APITimeoutError too
        msg = f"{type(exc).__name__}: {type(exc.__cause__).__name__}"
        raise ModelUnavailableError(msg) from exc
    except openai.APIStatusError as exc:
        raise refusal_in_body(
            exc.body,
            status=exc.status_code,
            retry_after=wait_asked_for(exc.response.headers),
        ) from exc
    except httpx2.RequestError as exc:
        # the client reads an error's body, and we a stream's, outside its own mapping
        raise ModelUnavailableError(type(exc).__name__) from exc
    except openai.APIError as exc:
        msg = f"{type(exc).__name__}: {exc.message}"
        raise BadAnswerError(msg) from exc
