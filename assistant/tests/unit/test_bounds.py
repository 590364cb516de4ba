"""How much of an answer is read, and from where: a model server may be broken or hostile."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager

import pytest

from assistant.src.core.errors import AnswerTooLargeError, ModelRefusedError, ModelUnavailableError
from assistant.src.core.providers import bounds
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.sse import SSE, SSEDecoder
from assistant.src.services.weather import WeatherClient, WeatherUnavailableError
from assistant.tests.standin import HttpStandIn, Reply, Request, StandIn, completion

PATH = "/chat/completions"
LONG = Timeouts(connect=10, first_token=60, stall=60, whole=60)


@asynccontextmanager
async def provider_at(reply: Reply) -> AsyncIterator[Provider]:
    async with (
        StandIn(reply) as server,
        aclosing(Provider("p", base_url=server.url, api_key="sk-test", timeouts=LONG)) as provider,
    ):
        yield provider


async def streamed(reply: Reply) -> list[SSE]:
    async with provider_at(reply) as provider, provider.stream(PATH, {}) as events:
        return [event async for event in events]


async def whole(reply: Reply) -> bytes:
    async with provider_at(reply) as provider:
        return await provider.request("POST", PATH, {})


def stream(body: bytes, **headers: str) -> Reply:
    return Reply(body, headers={"Content-Type": "text/event-stream", **headers})


def packed(body: bytes) -> Reply:
    """The body compressed, which the server does without being asked."""
    return Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})


BOMB = packed(b"[" + b" " * (bounds.BODY * 5))
MANY = stream(b"data: 1\n\n" * (bounds.EVENTS + 1))
NO_LINE = stream(b"data: 1\n\ndata: " + b"x" * bounds.BODY)
NO_EVENT = stream(b"data: 1\n\n" + b"data: x\n" * (bounds.BODY // 8 + 1))


@pytest.mark.parametrize("reply", [Reply(b" " * (bounds.BODY + 1)), BOMB], ids=["bytes", "bomb"])
async def test_a_body_without_an_end_is_no_answer(reply):
    with pytest.raises(AnswerTooLargeError):
        await whole(reply)


@pytest.mark.parametrize(
    "reply",
    [Reply(b"{" + b" " * bounds.BODY), BOMB, NO_LINE, NO_EVENT, MANY],
    ids=["whole body", "bomb", "one line", "one event", "events"],
)
async def test_a_stream_without_an_end_is_no_answer(reply):
    with pytest.raises(AnswerTooLargeError):
        await streamed(reply)


async def test_the_bytes_of_a_stream_are_counted_after_decompression(monkeypatch):
    body = b": still at work\n" * 10_000
    monkeypatch.setattr(bounds, "STREAM", len(body))
    assert await streamed(stream(gzip.compress(body), **{"Content-Encoding": "gzip"})) == []
    with pytest.raises(AnswerTooLargeError):
        await streamed(stream(gzip.compress(body + b":\n"), **{"Content-Encoding": "gzip"}))


async def test_an_answer_within_the_bounds_is_read_compressed_or_not():
    body = completion("Hello").body
    assert await whole(packed(body)) == body
    assert await streamed(packed(body)) == [SSE("", body, whole=True)]


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_of_an_error_the_beginning_is_read_and_its_status_counts(ask):
    bomb = gzip.compress(b'{"error": {"message": "' + b"x" * (bounds.BODY * 5))
    with pytest.raises(ModelUnavailableError) as raised:
        await ask(Reply(bomb, status=503, headers={"Content-Encoding": "gzip"}))
    assert raised.value.status == 503


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_a_refusal_that_came_compressed_is_understood(ask):
    body = gzip.compress(b'{"error": {"message": "no such model", "code": "model_not_found"}}')
    with pytest.raises(ModelRefusedError, match="no such model"):
        await ask(Reply(body, status=404, headers={"Content-Encoding": "gzip"}))


class Elsewhere(HttpStandIn):
    """Where redirects lead: notes who comes."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[Request] = []

    def respond(self, request: Request) -> Reply:
        self.came.append(request)
        return completion("Hello")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("ask", [whole, streamed])
async def test_no_redirect_is_followed(ask, status):
    async with Elsewhere() as elsewhere:
        with pytest.raises(ModelRefusedError, match="redirect") as raised:
            await ask(Reply(status=status, headers={"Location": f"{elsewhere.url}/v1{PATH}"}))
    assert (raised.value.status, elsewhere.came) == (status, [])


async def test_the_weather_follows_none_either():
    class Redirects(HttpStandIn):
        target = ""

        def respond(self, _request: Request) -> Reply:
            return Reply(status=307, headers={"Location": self.target})

    async with Elsewhere() as elsewhere, Redirects() as server:
        server.target = elsewhere.url
        async with aclosing(WeatherClient(forecast_url=server.url, geocoding_url=server.url)) as weather:
            with pytest.raises(WeatherUnavailableError):
                await weather.places("Rome", "en")
    assert elsewhere.came == []


async def turns_during(work: Awaitable[object]) -> int:
    """How often another task gets its turn while `work` is done."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await work
    other.cancel()
    return turns


async def test_others_get_their_turn_while_a_stream_gushes():
    count = 20_000
    assert await turns_during(streamed(stream(b"data: 1\n\n" * count))) >= count / bounds.EVENTS_A_TURN


async def test_others_get_their_turn_while_a_stream_unfolds():
    """A megabyte at a time, of lines that are no events."""
    size = 2**20
    reply = stream(gzip.compress(b":\n\n" * (size // 3)), **{"Content-Encoding": "gzip"})
    assert await turns_during(streamed(reply)) >= size / bounds.CHUNK


async def test_others_get_their_turn_while_a_body_unfolds():
    """A megabyte at a time comes out of a small compressed body, without a wait for the network."""
    before = await turns_during(whole(packed(b"{}")))
    assert await turns_during(whole(packed(b"[" + b" " * (bounds.BODY - 10) + b"]"))) >= before + 3


def test_a_long_line_in_small_pieces_is_joined_once():
    class Chunk(bytes):
        """Would be copied with everything before it if the line were joined at each chunk."""

        __slots__ = ()

        def __radd__(self, _other: bytes) -> bytes:
            raise AssertionError

    decoder = SSEDecoder()
    line = b"data: " + b"x" * 5000
    assert not [event for byte in line for event in decoder.feed(Chunk(bytes([byte])))]
    assert list(decoder.feed(b"\n\n")) == [SSE("", b"x" * 5000)]
