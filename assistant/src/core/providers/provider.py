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
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache
from typing import Any, Literal
from urllib.parse import quote

import httpx2
import openai

from service_kit.logging import get_logger

from ..errors import CooldownError, ModelRefusedError, ModelTimeoutError, ModelUnavailableError
from ..tool_mode import ToolMode
from . import bounds
from .client_errors import translate_errors
from .cooldown import AccountCooldown
from .event_stream import StreamDeadline, Timeouts, drain, events_of
from .learned import Learned
from .sse import SSE

log = get_logger(__name__)

KEEPALIVE = 15.0
"""Seconds that an idle connection is kept; below what providers' load balancers allow."""
_OF_THE_BODY = frozenset({b"content-encoding", b"content-length", b"transfer-encoding", b"content-type"})
"""Headers that describe a body as it came, not as it was read; a charset may be none."""

Method = Literal["GET", "POST", "DELETE"]
Headers = Mapping[str, str]


class Provider:
    """One provider for the service's lifetime; connects on first use, closed with `aclose`.

    Requests beyond `concurrency` wait for a slot; that wait does not count as the provider's time and
    ends when the caller is cancelled. While `cooldown` lasts, requests are refused here, as the provider
    would refuse them: with 429 and the wait that is left.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api_key: str | None = None,
        timeouts: Timeouts,
        concurrency: int = 512,
        cooldown: AccountCooldown | None = None,
    ) -> None:
        self.name = name
        self.unsupported_paths: set[str] = set()
        """Paths at which it turned out to have nothing: protocols that it does not speak."""
        self.tool_modes = Learned[ToolMode]()
        """How its models turned out to take tools (`tool_mode_backend`)."""
        self.refused_fields = Learned[frozenset[str]]()
        """What its models turned out not to take (`refused_fields`)."""
        self._base_url = base_url
        self._api_key = api_key
        self._timeouts = timeouts
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._cooldown = cooldown or AccountCooldown()
        self._client: openai.AsyncOpenAI | None = None

    def mark_unsupported(self, path: str, reason: str, *, advice: str) -> None:
        """It has nothing at `path`: nobody asks there again; `advice` is what to set instead."""
        if path not in self.unsupported_paths:
            self.unsupported_paths.add(path)
            log.warning("protocol_not_supported", provider=self.name, path=path, reason=reason, advice=advice)

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
        async with self._slot():
            try:
                with translate_errors():
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

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], *, headers: Headers | None = None
    ) -> AsyncIterator[AsyncIterator[SSE]]:
        """POSTs `body` and gives the events of the answer as they arrive, until the server ends it.

        Whether the stream was complete only its protocol's terminal event tells: require it. A server
        that does not stream gives one event with `whole`. Entering raises as `request`; the iterator
        raises ModelUnavailableError on a stall, a disconnect, and after the whole time.
        """
        async with self._slot():
            deadline = StreamDeadline(self._timeouts)
            async with deadline.limit():
                response = await self._open(path, body, headers or {})
            try:
                async with aclosing(events_of(response, deadline)) as events:
                    yield events
                    await drain(events)
            finally:
                await response.aclose()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Around one request; what the provider asks for meanwhile holds for everybody."""
        async with self._slots:
            if (seconds := await self._cooldown.seconds_left()) > 0:
                msg = f"{self.name} asked to wait {seconds:.1f} s more"
                raise CooldownError(msg, status=429, retry_after=seconds)
            try:
                yield
            except ModelUnavailableError as exc:
                # the next in the queue would be refused as well
                if exc.retry_after is not None:
                    await self._cooldown.begin(exc.retry_after)
                raise

    async def _send(
        self, method: Method, path: str, body: Mapping[str, Any] | None, headers: Headers
    ) -> httpx2.Response:
        client, options = self._connect(), _options(headers)
        if method == "GET":
            return await client.get(path, options=options, cast_to=httpx2.Response)
        if method == "DELETE":
            return await client.delete(path, options=options, cast_to=httpx2.Response)
        return await client.post(path, content=_json(body or {}), options=options, cast_to=httpx2.Response)

    async def _open(self, path: str, body: Mapping[str, Any], headers: Headers) -> httpx2.Response:
        """The response, its body still to be read; the client's own reader of streams is not used."""
        stream = await self._connect().post(
            path,
            content=_json(body),
            options=_options({"Accept": "text/event-stream", **headers}),
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    def _connect(self) -> openai.AsyncOpenAI:
        if self._client is None:
            limits = httpx2.Limits(max_connections=self._concurrency, keepalive_expiry=KEEPALIVE)
            timeouts = httpx2.Timeout(self._timeouts.whole, connect=self._timeouts.connect)
            self._client = openai.AsyncOpenAI(
                # the client insists on a key; servers that need none ignore it
                api_key=self._api_key or "none",
                base_url=self._base_url,
                timeout=timeouts,
                # `routing` retries
                max_retries=0,
                http_client=_Client(limits=limits, timeout=timeouts, verify=_tls()),
            )
        return self._client


@cache
def _tls() -> ssl.SSLContext:
    """Reading the machine's certificates takes 50 ms and more: once for all providers."""
    return httpx2.create_ssl_context()


class _Client(openai.DefaultAioHttpClient):
    """Follows no redirect: it would take the key or the conversation to wherever a server says.

    Bodies that are not streamed are read here, within `bounds`, errors included: the official client reads
    those without any.
    """

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        **options: Any,  # noqa: ANN401 - as the client has them
    ) -> httpx2.Response:
        """The response; its body is read already, unless it is to be streamed and no error."""
        response = await super().send(request, stream=True, **(options | {"follow_redirects": False}))
        if stream and response.is_success:
            return response
        try:
            body = await bounds.read_body(response)
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_BODY]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


def _options(headers: Headers) -> openai.RequestOptions:
    return {"headers": {"Content-Type": "application/json", **headers}}


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
