"""The connection itself, against a server that misbehaves byte for byte."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from assistant.src.core.errors import (
    ContextOverflowError,
    KeyRefusedError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    NobodyListensError,
    NoCreditError,
)
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.sse import SSE
from assistant.tests.standin import HttpStandIn, Reply, Request, StandIn, completion, error, events

LONG = 60.0
"""Seconds that never pass in a test, however busy the machine is."""
PATIENT = Timeouts(connect=LONG, first_token=LONG, stall=LONG, whole=LONG)
EVENTS = [SSE("", b'{"a":1}'), SSE("", b'{"a":2}'), SSE("", b"[DONE]")]


class Shelves(HttpStandIn):
    """Deletes whatever it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []

    def respond(self, request: Request) -> Reply:
        assert request.method == "DELETE"
        self.deleted.append(request.target)
        return Reply(b"{}")


@asynccontextmanager
async def provider_of(
    server: HttpStandIn, *, timeouts: Timeouts = PATIENT, concurrency: int = 8
) -> AsyncIterator[Provider]:
    provider = Provider(
        "p", base_url=server.url, api_key="sk-test", timeouts=timeouts, concurrency=concurrency
    )
    async with aclosing(provider):
        yield provider


async def streamed(*replies: Reply, timeouts: Timeouts = PATIENT) -> tuple[list[SSE], ModelError | None]:
    """The events, and how they ended if not well."""
    seen: list[SSE] = []
    async with StandIn(*replies) as server, provider_of(server, timeouts=timeouts) as provider:
        try:
            async with provider.stream("/chat/completions", {"q": 1}) as arriving:
                async for event in arriving:
                    seen.append(event)  # noqa: PERF401 - what came before a failure is kept
        except ModelError as exc:
            return seen, exc
    return seen, None


async def test_the_events_of_a_stream_as_they_are():
    assert await streamed(events({"a": 1}, {"a": 2})) == (EVENTS, None)


async def test_headers_and_body_go_out():
    async with StandIn(events()) as server, provider_of(server) as provider:
        async with provider.stream("/chat/completions", {"q": "ж"}, headers={"X-Beta": "1"}) as arriving:
            assert [event async for event in arriving] == EVENTS[2:]
        await provider.request("POST", "/chat/completions", {"q": 2}, headers={"X-Beta": "2"})
        await provider.request("GET", "/chat/completions", headers={"X-Beta": "3"})
    assert [headers["x-beta"] for headers in server.headers] == ["1", "2", "3"]
    assert server.headers[0]["accept"] == "text/event-stream"
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-test"}
    assert server.requests == [{"q": "ж"}, {"q": 2}, {}]


async def test_whatever_a_name_holds_nothing_else_is_deleted():
    async with Shelves() as server, provider_of(server) as provider:
        await provider.delete("/conversations", "conv_b?/../conv_a")
    (target,) = server.deleted
    assert target.endswith("/conversations/conv_b%3F%2F..%2Fconv_a")


@pytest.mark.parametrize("indent", [b"", b"\n  "], ids=["", "indented"])
async def test_a_server_that_does_not_stream_gives_its_whole_answer(indent):
    body = completion("Hello").body
    seen, failure = await streamed(Reply(indent + body))
    assert (seen, failure) == ([SSE("", body, whole=True)], None)


async def test_a_stream_that_breaks_off():
    seen, failure = await streamed(events({"a": 1}, {"a": 2}, done=False, missing=50))
    assert seen == EVENTS[:2]
    assert type(failure) is ModelUnavailableError


@pytest.mark.parametrize(
    ("reply", "timeouts", "arrived"),
    [
        (Reply(hang=True), replace(PATIENT, first_token=0.2), 0),
        (events({"a": 1}, missing=50, stall=True), replace(PATIENT, stall=0.2), 2),
        (events({"a": 1}, missing=50, stall=True), replace(PATIENT, whole=0.2), None),
        (Reply(b'{"half":', length=50, stall=True), replace(PATIENT, whole=0.2), 0),
        (Reply(drip=True, length=10_000), replace(PATIENT, first_token=0.2), 0),
    ],
    ids=["before the first", "in mid-stream", "whole", "half a body", "drip"],
)
async def test_a_stream_that_hangs_ends_after_its_own_timeout(reply, timeouts, arrived):
    async with asyncio.timeout(LONG / 2):
        seen, failure = await streamed(reply, timeouts=timeouts)
    assert type(failure) is ModelTimeoutError
    assert arrived in {len(seen), None}  # the whole time may be over before the first event is there


async def test_a_comment_is_a_sign_of_life():
    stall = 1.5

    class Slow(StandIn):
        """Says only that it is at work, for longer than the stall timeout; then answers."""

        async def _send(self, _reply: Reply, writer: asyncio.StreamWriter) -> bool:
            writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n")
            ends = asyncio.get_running_loop().time() + 1.2 * stall
            while asyncio.get_running_loop().time() < ends:
                writer.write(b": at work\n\n")
                await writer.drain()
                await asyncio.sleep(stall / 40)
            writer.write(b"data: [DONE]\n\n")
            return False

    timeouts = replace(PATIENT, first_token=stall, stall=stall)
    async with (
        Slow(Reply()) as server,
        provider_of(server, timeouts=timeouts) as provider,
        provider.stream("/chat/completions", {}) as arriving,
    ):
        assert [event.data async for event in arriving] == [b"[DONE]"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401), KeyRefusedError),
        (error(429, code="insufficient_quota"), NoCreditError),
        (error(400, code="context_length_exceeded"), ContextOverflowError),
        (error(503), ModelUnavailableError),
        (Reply(b'{"err', status=500, length=500), ModelUnavailableError),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else value.__name__,
)
async def test_refusals_of_a_stream(reply, kind):
    seen, failure = await streamed(reply)
    assert (seen, type(failure)) == ([], kind)


async def test_a_refusal_says_status_code_and_wait():
    _, failure = await streamed(error(429, code="slow_down", Retry_After="3"))
    assert isinstance(failure, ModelUnavailableError)
    assert (failure.status, failure.code, failure.retry_after) == (429, "slow_down", 3.0)


async def test_a_stream_left_early_gives_its_connection_back():
    async with StandIn(events({"a": 1}, {"a": 2})) as server, provider_of(server) as provider:
        for _ in range(3):
            async with provider.stream("/chat/completions", {}) as arriving:
                assert await anext(arriving) == EVENTS[0]
        assert server.connections == 1


async def test_a_caller_that_fails_leaves_no_slot_taken():
    async def fail(provider: Provider) -> None:
        async with provider.stream("/chat/completions", {}) as arriving:
            async for _event in arriving:
                raise KeyError

    async with StandIn(events({"a": 1})) as server, provider_of(server, concurrency=1) as provider:
        for _ in range(3):
            with pytest.raises(KeyError):
                await fail(provider)
        assert await provider.request("POST", "/chat/completions", {})
    gc.collect()  # a response left open would warn


async def test_no_more_requests_at_once_than_slots():
    full, gate = asyncio.Event(), asyncio.Event()

    class Gated(StandIn):
        async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
            if len(self.requests) == 3:
                full.set()
            await gate.wait()
            return await super()._send(reply, writer)

    async with Gated(completion()) as server, provider_of(server, concurrency=3) as provider:
        asking = [asyncio.create_task(provider.request("POST", "/chat/completions", {})) for _ in range(9)]
        await asyncio.wait_for(full.wait(), 5)
        with pytest.raises(TimeoutError):  # who waits for a slot goes when its own time is over
            async with asyncio.timeout(0.1):
                await provider.request("POST", "/chat/completions", {})
        assert len(server.requests) == 3
        gate.set()
        await asyncio.gather(*asking)
    assert len(server.requests) == 9


async def test_nobody_listens():
    async with StandIn(completion()) as server:
        url = server.url
    async with aclosing(Provider("p", base_url=url, timeouts=PATIENT)) as provider:
        with pytest.raises(ModelUnavailableError):
            await provider.request("POST", "/chat/completions", {})
        with pytest.raises(ModelUnavailableError):
            async with provider.stream("/chat/completions", {}):
                pass


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"hello world",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n{}",
        HEAD + b"X: a\r\n" * 10_000 + b"\r\n{}",
        HEAD + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\nxx\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["no HTTP", "status", "long header", "many headers", "two lengths", "chunks", "no gzip"],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_no_http_is_a_failure_that_may_pass(answer, stream):
    with pytest.raises(ModelUnavailableError):
        await asked_raw(answer, stream=stream)


@pytest.mark.parametrize("charset", [b"\xff", b"idna", b"zip", b"utf-9"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_in_an_odd_charset_is_understood(charset, stream):
    body = b'{"error": {"message": "no such model"}}'
    head = b"HTTP/1.1 404 X\r\nContent-Type: application/json; charset=" + charset
    answer = head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with pytest.raises(ModelRefusedError, match="no such model"):
        await asked_raw(answer, stream=stream)


async def asked_raw(answer: bytes, *, stream: bool) -> None:
    """Ask a server that answers with these bytes."""

    class Raw(StandIn):
        async def _send(self, _reply: Reply, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer)
            await writer.drain()
            return False

    async with Raw(Reply()) as server, provider_of(server) as provider:
        if not stream:
            await provider.request("POST", "/chat/completions", {})
            return
        async with provider.stream("/chat/completions", {}) as arriving:
            async for _event in arriving:
                pass


async def test_closing_twice_or_unused_is_fine_and_the_next_request_connects_anew():
    async with StandIn(completion("Hello")) as server, provider_of(server) as provider:
        await provider.aclose()
        await provider.aclose()
        assert b"Hello" in await provider.request("POST", "/chat/completions", {})


async def test_a_refused_connection_is_told_from_a_slow_one():
    with socket.socket() as bound:  # and not listening: refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        async with aclosing(Provider("p", base_url=url, api_key="k", timeouts=PATIENT)) as provider:
            with pytest.raises(NobodyListensError, match="ConnectionRefusedError"):
                await provider.request("POST", "/chat/completions", {"q": 1})
