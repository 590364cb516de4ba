"""Both clients against a real HTTP server, which drops connections and answers rubbish on demand."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from service_kit.backoff import Backoff
from service_kit.contracts.users import UserCreate, UserRead, UserRole, UserUpdate
from service_kit.errors import (
    AccessError,
    ConflictError,
    ContractError,
    NotFoundError,
    RestError,
    RestUnavailableError,
    TransientError,
)
from service_kit.rest import client as rest_client
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient, SyncRestClient
from service_kit.rest.endpoints import PAGE, Call
from service_kit.settings import RestClientSettings

USER: dict[str, Any] = {
    "id": 7,
    "telegram_id": 700,
    "role": "member",
    "is_active": True,
    "created_at": "2026-11-22T12:00:00Z",
    "updated_at": "2026-11-22T12:00:00Z",
}
CREATE = endpoints.create_user(UserCreate(telegram_id=700))
DROP = 0
"""Instead of a status: close the connection without an answer."""


class Server:
    """Answers what `script` says, in order; its last line for ever."""

    def __init__(self, *, listening: bool = True) -> None:
        self.script: list[tuple[int, Any]] = [(200, USER)]
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                server.bodies.append(json.loads(self.rfile.read(length)) if length else None)
                server.requests.append(f"{self.command} {self.path}")
                server.headers.append(dict(self.headers))
                status, answer = server.script.pop(0) if len(server.script) > 1 else server.script[0]
                if status == DROP:
                    self.close_connection = True
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of the base class

            def log_message(self, *_args: Any) -> None:
                pass

        class Threads(ThreadingHTTPServer):
            daemon_threads = True

        self.http = Threads(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.http.server_bind()
        if listening:
            self.http.server_activate()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.http.socket.setblocking(False)  # or a client that is gone before it was accepted blocks it
    thread = threading.Thread(target=running.http.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.http.shutdown()
    thread.join()
    running.http.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_client, "BACKOFF", Backoff(0, 0))


Send = Callable[[Call[Any]], Awaitable[Any]]


@pytest.fixture(params=["async", "sync"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def settings(url: str) -> RestClientSettings:
    return RestClientSettings.model_validate({"rest_service_url": url, "service_api_key": "the-key"})


@pytest.fixture
async def send(kind: str, server: Server) -> AsyncIterator[Send]:
    async with opened(kind, server.url) as one:
        yield one


class opened:  # noqa: N801 - a context manager, used like a function
    """`send` of either client, for one address."""

    def __init__(self, kind: str, url: str) -> None:
        self._async = AsyncRestClient(settings(url)) if kind == "async" else None
        self._sync = SyncRestClient(settings(url)) if kind == "sync" else None

    async def __aenter__(self) -> Send:
        return self._send

    async def _send(self, call: Call[Any]) -> Any:
        if self._async:
            return await self._async.send(call)
        assert self._sync
        return self._sync.send(call)

    async def __aexit__(self, *_exc: object) -> None:
        if self._async:
            await self._async.aclose()
        if self._sync:
            self._sync.close()


async def test_an_answer_becomes_the_contracts_model(send, server):
    assert await send(endpoints.user(7)) == UserRead.model_validate(USER)
    assert server.requests == ["GET /api/users/7"]
    assert server.headers[0]["Authorization"] == "Bearer the-key"


async def test_a_change_sends_only_what_was_set(send, server):
    await send(endpoints.update_user(7, UserUpdate(timezone=None, first_name="Ada")))
    assert server.bodies == [{"first_name": "Ada", "timezone": None}]


async def test_an_answer_without_content_is_none(send, server):
    server.script = [(204, b"")]
    assert await send(endpoints.delete_thread(uuid4())) is None


@pytest.mark.parametrize("trouble", [429, 502, 503, 504, DROP])
@pytest.mark.parametrize("kind", ["async"])
async def test_passing_trouble_is_outlasted_where_repeating_is_safe(send, server, trouble):
    server.script = [(trouble, {}), (trouble, {}), (200, USER)]
    assert (await send(endpoints.user(7))).id == 7
    assert len(server.requests) == 3


def test_the_one_for_threads_asks_once_and_not_for_long(server):
    """Its callers repeat what failed: tries within tries would add up to minutes."""
    assert rest_client.SYNC_TIMEOUT.read == 5
    for trouble, call in ((503, endpoints.user(7)), (DROP, endpoints.user(7)), (DROP, CREATE)):
        server.script, server.requests = [(trouble, {}), (200, USER)], []
        sync = SyncRestClient(settings(server.url))
        with pytest.raises(RestUnavailableError):
            sync.send(call)
        sync.close()
        assert len(server.requests) == 1


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 504, DROP])
async def test_lasting_trouble_means_unavailable(kind, send, server, trouble):
    server.script = [(trouble, {})]
    with pytest.raises(RestUnavailableError, match="GET /api/users/7"):
        await send(endpoints.user(7))
    assert len(server.requests) == (1 if trouble == 500 or kind == "sync" else 3)


@pytest.mark.parametrize("trouble", [429, 500, 503, DROP])
async def test_what_may_have_been_done_is_not_sent_again(send, server, trouble):
    server.script = [(trouble, {}), (201, USER)]
    with pytest.raises(RestUnavailableError):
        await send(CREATE)
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", [endpoints.user(7), CREATE])
async def test_nobody_there_means_unavailable(kind, server, call):
    server.http.server_close()  # the port refuses from now on
    async with opened(kind, server.url) as send:
        with pytest.raises(RestUnavailableError):
            await send(call)


@pytest.mark.parametrize("kind", ["async"])
async def test_what_never_arrived_is_sent_again(kind, monkeypatch):
    server = Server(listening=False)  # refused; the port stays ours, so that nobody else can answer there

    def come_back(_attempt: int) -> float:
        server.http.server_activate()
        threading.Thread(target=server.http.handle_request, daemon=True).start()
        return 0.0

    monkeypatch.setattr(rest_client.BACKOFF, "delay_after", come_back)
    with server.http:
        async with opened(kind, server.url) as send:
            assert (await send(CREATE)).id == 7
    assert server.requests == ["POST /api/users"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessError),
        (403, AccessError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, RestError),
        (422, RestError),
    ],
)
async def test_a_refusal_carries_what_rest_service_said(send, server, status, error):
    server.script = [(status, {"code": "a_code", "message": "A sentence.", "field": "name"})]
    with pytest.raises(error, match=f"{status} a_code: A sentence.") as refusal:
        await send(endpoints.user(7))
    assert (refusal.value.status, refusal.value.body.field) == (status, "name")
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"'])
async def test_a_refusal_in_another_shape_is_one_all_the_same(send, server, body):
    server.script = [(404, body)]
    with pytest.raises(NotFoundError) as refusal:
        await send(endpoints.user(7))
    assert refusal.value.body.code == "unknown"


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[1]", b"null", b"\xff\xfe"])
async def test_an_answer_that_breaks_the_contract_is_for_good(send, server, body):
    server.script = [(200, body)]
    with pytest.raises(ContractError, match="breaks the contract") as broken:
        await send(endpoints.user(7))
    assert not isinstance(broken.value, TransientError)
    assert len(server.requests) == 1


async def test_an_answer_of_a_newer_rest_service_is_read(send, server):
    server.script = [(200, USER | {"role": "guest", "mood": "sunny"})]
    user = await send(endpoints.user(7))
    assert user.role == "guest"
    assert user.role not in set(UserRole)
    assert user.model_dump(mode="json")["role"] == "guest"


async def test_an_answer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(rest_client, "ATTEMPT_TIMEOUT", 0.1)
    asked, closed = 0, asyncio.Semaphore(0)

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:  # the client has given up
            writer.close()
            closed.release()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncRestClient(settings(url)) as client, asyncio.timeout(10):
        with pytest.raises(RestUnavailableError, match="TimeoutError"):
            await client.send(endpoints.user(7))
        with pytest.raises(RestUnavailableError):
            await client.send(CREATE)
        for _ in range(asked):
            await closed.acquire()
    server.close()
    assert asked == rest_client.ATTEMPTS + 1


async def test_all_pages_are_one_list(kind, server):
    rows = [USER | {"id": number} for number in range(PAGE + 3)]
    server.script = [(200, rows[:PAGE]), (200, rows[PAGE:])]
    if kind == "async":
        async with AsyncRestClient(settings(server.url)) as client:
            found = await client.all_pages(endpoints.users)
    else:
        sync = SyncRestClient(settings(server.url))
        found = sync.all_pages(endpoints.users)
        sync.close()
    assert [user.id for user in found] == list(range(PAGE + 3))
    assert server.requests == [
        f"GET /api/users?limit={PAGE}&offset=0",
        f"GET /api/users?limit={PAGE}&offset={PAGE}",
    ]


async def test_a_proxy_of_the_environment_is_not_for_neighbours(kind, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with opened(kind, server.url) as send:
        assert (await send(endpoints.user(7))).id == 7
