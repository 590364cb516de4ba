"""What a stranger may take of a server before it knows who asks."""

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from service_kit import http_limits
from service_kit.contracts.errors import ErrorBody
from service_kit.health import Health, HealthServer
from service_kit.settings import ServiceSettings
from service_kit.testing.servers import free_port
from service_kit.web import serve

LONG_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 2 * http_limits.MAX_HEAD


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    size, more = 0, True
    while more and scope["path"] != "/refused":
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = f"{scope['method']} {size}".encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"x-path", scope["path"].encode())]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def asgi_port() -> AsyncIterator[int]:
    port, stop = free_port(), asyncio.Event()
    settings = ServiceSettings(http_host="127.0.0.1", http_port=port)
    server = asyncio.create_task(serve(echo, settings, stop))
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        await asyncio.sleep(0)
    yield port
    stop.set()
    await server


@pytest.fixture
async def port(request, asgi_port) -> AsyncIterator[int]:
    with HealthServer(Health("a_service"), "127.0.0.1", 0) as server:
        yield {"asgi": asgi_port, "health": server.port}[request.param]


both = pytest.mark.parametrize("port", ["asgi", "health"], indirect=True)


async def exchange(port: int, *pieces: bytes) -> bytes:
    """What the server says until it hangs up; the sender itself never does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                while more := await reader.read(65536):
                    said += more
    finally:
        writer.close()
    return said


@both
async def test_a_head_that_is_too_long_is_refused(port):
    said = await exchange(
        port, *(LONG_HEAD[start : start + 16_000] for start in range(0, len(LONG_HEAD), 16_000))
    )
    assert said == b"" or said.split()[1] == b"431"


@both
async def test_many_headers_are_too_long_together(port):
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(
        b"X-%d: %s\r\n" % (n, b"a" * 2000) for n in range(90)
    )
    said = await exchange(port, *(head[start : start + 16_000] for start in range(0, len(head), 16_000)))
    assert said == b"" or said.split()[1] == b"431"


@pytest.mark.parametrize("size", [http_limits.MAX_HEAD, 3 * http_limits.MAX_HEAD])
async def test_a_body_that_comes_in_one_piece_with_its_head_is_no_head(asgi_port, size):
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    said = await exchange(asgi_port, request + b"a" * size)
    assert said.split()[1] == b"203"
    assert said.endswith(b"POST %d" % size)


async def test_a_second_head_that_is_too_long_is_refused_too(asgi_port):
    # longer than one piece can be, for a piece may hold all of the first request too
    more = [b"a" * 16_000] * 60
    said = await exchange(asgi_port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", LONG_HEAD, *more)
    assert {line.split()[1] for line in said.splitlines() if line.startswith(b"HTTP/1.1")} <= {b"203", b"431"}


@pytest.mark.parametrize("port", ["health"], indirect=True)
@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"POST /health HTTP/1.1", 405, "method_not_allowed"),
        (b"OPTIONS * HTTP/1.1", 405, "method_not_allowed"),
        (b"get /health HTTP/1.1", 405, "method_not_allowed"),
        (b"GET /nothing HTTP/1.1", 404, "not_found"),
        (b"GET / <b> HTTP/1.1", 400, "bad_request"),
    ],
)
async def test_a_health_server_refuses_as_the_other_servers_do(port, request_line, status, code):
    said = await exchange(port, request_line + b"\r\nHost: localhost\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert ErrorBody.model_validate_json(body).code == code
    assert (b"Allow: GET, HEAD" in head) == (status == 405)


@both
@pytest.mark.parametrize("begun", [b"", b"GET", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "])
async def test_a_request_that_does_not_come_is_given_up(port, begun, monkeypatch):
    monkeypatch.setattr(http_limits, "RECEIVE_TIMEOUT", 0.3)
    said = await exchange(port, *([begun] if begun else []))
    assert said == b"" or said.split()[1] == b"408"


@both
async def test_dripping_does_not_help(port, monkeypatch):
    monkeypatch.setattr(http_limits, "RECEIVE_TIMEOUT", 0.5)

    async def drip() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ends = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nX-A: ")
        with suppress(ConnectionError):
            while not ends.done():
                writer.write(b"a")
                await writer.drain()
                await asyncio.wait([ends], timeout=0.05)
        ends.cancel()
        writer.close()

    async with asyncio.timeout(20):
        await drip()


async def test_a_body_that_does_not_come_is_given_up(asgi_port, monkeypatch):
    monkeypatch.setattr(http_limits, "RECEIVE_TIMEOUT", 0.3)
    await exchange(asgi_port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"FF\r\n" + b"a" * 255 + b"\r\n",
    ],
)
async def test_a_body_that_is_too_long_is_not_taken(asgi_port, head, monkeypatch):
    monkeypatch.setattr(http_limits, "MAX_BODY", 1000)
    more = b"FF\r\n" + b"a" * 255 + b"\r\n"
    said = await exchange(asgi_port, b"POST / HTTP/1.1\r\nHost: localhost\r\n" + head, *[more] * 8)
    assert b"203" not in said


async def test_a_body_after_a_refusal_is_bounded_too(asgi_port, monkeypatch):
    monkeypatch.setattr(http_limits, "MAX_BODY", 1000)
    reader, writer = await asyncio.open_connection("127.0.0.1", asgi_port)
    writer.write(b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n")
    writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
    async with asyncio.timeout(20):
        assert b"203" in await reader.readline()
        ends = asyncio.create_task(reader.read())
        with suppress(ConnectionError):
            while not ends.done():
                writer.write(b"FF\r\n" + b"a" * 255 + b"\r\n")
                await writer.drain()
                await asyncio.wait([ends], timeout=0.01)
    with suppress(ConnectionError):
        await ends
    writer.close()


async def test_what_is_within_the_limits_is_answered(asgi_port):
    connection = http.client.HTTPConnection("127.0.0.1", asgi_port, timeout=20)

    def ask(method: str, body: bytes | None = None) -> tuple[int, str | None, bytes]:
        connection.request(method, "/a", body, {"X-Long": "a" * 30_000})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-length"), answer.read()

    def ask_all() -> None:  # over one connection
        assert ask("GET") == (203, "5", b"GET 0")
        assert ask("POST", b"a" * 300_000) == (203, "11", b"POST 300000")
        assert ask("HEAD") == (203, "5", b"")
        assert ask("GET") == (203, "5", b"GET 0")

    await asyncio.to_thread(ask_all)
    connection.close()


def test_a_health_server_takes_so_many_at_once(monkeypatch):
    monkeypatch.setattr(http_limits, "MAX_CONNECTIONS", 2)
    with HealthServer(Health("a_service"), "127.0.0.1", 0) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as refused:
            assert refused.recv(10) == b""
        for one in idle:
            one.close()
