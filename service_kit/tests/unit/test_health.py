import asyncio
import http.client
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator

import pytest

from service_kit import health as kit_health
from service_kit.contracts.health import HealthBody
from service_kit.errors import RestUnavailableError
from service_kit.health import Health, HealthServer, respond


async def works() -> None:
    """A part that works."""


async def watched(health: Health, until: Callable[[], bool]) -> None:
    """Run `watch` until `until` holds."""
    task = asyncio.create_task(health.watch())
    async with asyncio.timeout(5):
        while not until():  # noqa: ASYNC110 - the health tells nobody that it changed
            await asyncio.sleep(0.001)
    task.cancel()


@pytest.fixture
def health() -> Health:
    return Health("a_service")


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with HealthServer(health, "127.0.0.1", 0) as running:
        yield running


def get(server: HealthServer, path: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_with_nothing_to_check_it_is_ready(health):
    assert health.ready
    assert health.body() == HealthBody(service="a_service", status="ok")


async def test_a_checked_part_is_starting_until_its_first_success(health):
    health.add_check("redis", works)
    assert health.live
    assert not health.ready
    assert health.body().status == "starting"
    await watched(health, lambda: health.ready)
    assert health.body().checks == {"redis": "ok"}


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RestUnavailableError("rest_service answered 503"), "rest_service answered 503"),
        (ConnectionRefusedError(111, "refused"), "[Errno 111] refused"),
        (OSError(), "OSError"),
        (ValueError("a secret of the library"), "ValueError"),
    ],
)
async def test_a_part_that_fails_makes_it_unready_and_says_why(health, error, shown):
    health.add_check("rest", failing(error))
    health.add_check("redis", works)
    await watched(health, lambda: health.body().status == "unhealthy")
    assert health.live
    assert health.body().checks == {"rest": shown, "redis": "ok"}


async def test_a_check_that_hangs_is_a_failure(health, monkeypatch):
    monkeypatch.setattr(kit_health, "CHECK_TIMEOUT", 0.01)
    health.add_check("redis", asyncio.Event().wait)
    await watched(health, lambda: health.body().status == "unhealthy")
    assert health.body().checks["redis"].startswith("no answer")


async def test_a_part_that_recovers_makes_it_ready_again(health, monkeypatch):
    monkeypatch.setattr(kit_health, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(kit_health, "BEAT_EVERY", 0.001)
    broken = True

    async def check() -> None:
        if broken:
            raise OSError("away")

    health.add_check("redis", check)
    await watched(health, lambda: health.body().status == "unhealthy")
    broken = False
    await watched(health, lambda: health.ready)


def test_a_reported_part_counts_too(health):
    health.set("jobs", "300 s old")
    assert health.body().status == "unhealthy"
    health.set("jobs")
    assert health.ready


def test_without_heartbeat_it_is_neither_live_nor_ready(health):
    stuck = Health("a_service", stale_after=0.0)
    assert not stuck.live
    assert not stuck.ready
    assert "no heartbeat" in stuck.body().checks["event_loop"]


@pytest.mark.parametrize(
    ("path", "live", "ready"),
    [
        ("/health", 200, 503),
        ("/health/ready", 200, 503),
        ("/health/live", 200, 200),
        ("/health/live/", 200, 200),
    ],
)
def test_the_pages_differ_when_a_part_is_away(health, path, live, ready):
    found = respond(health, path)
    assert found is not None
    assert found[0] == live
    health.set("redis", "away")
    found = respond(health, path)
    assert found is not None
    assert found[0] == ready
    assert found[1].checks == {"redis": "away"}


@pytest.mark.parametrize("path", ["/", "/healthy", "/health/other", "/api/health"])
def test_other_addresses_are_no_health_pages(health, path):
    assert respond(health, path) is None


def test_the_server_answers_over_http(server, health):
    assert get(server, "/health?probe=1") == (
        200,
        {"service": "a_service", "status": "ok", "checks": {}, "notes": {}},
    )
    health.set("redis", "away")
    assert get(server, "/health")[0] == 503
    assert get(server, "/secrets")[0] == 404


def test_a_service_adds_pages_of_its_own(health):
    pages = {"/metrics": lambda: ("text/plain", b"up 1\n"), "/health": lambda: ("text/plain", b"mine")}
    with HealthServer(health, "127.0.0.1", 0, pages=pages) as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics?x=1", timeout=5) as answered:
            assert answered.headers["Content-Type"] == "text/plain"
            assert answered.read() == b"up 1\n"
        assert get(server, "/health")[1]["service"] == "a_service"
        assert get(server, "/metrics/secrets")[0] == 404


async def test_a_stuck_event_loop_is_seen_from_outside():
    health = Health("a_service", stale_after=0.2)
    seen: list[tuple[int, dict[str, object]]] = []
    with HealthServer(health, "127.0.0.1", 0) as server:
        watch = asyncio.create_task(health.watch())
        await asyncio.sleep(0)  # the first beat
        assert health.live

        def probe() -> None:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and (not seen or seen[-1][0] == 200):
                seen.append(get(server, "/health/live"))

        prober = threading.Thread(target=probe)
        prober.start()
        prober.join()  # the event loop is blocked as long as this takes
        watch.cancel()
    assert seen[0][0] == 200
    assert seen[-1][0] == 503


def test_a_prober_that_hangs_up_leaves_no_traceback_and_hinders_nobody(server, capsys):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            rude.sendall(b"GET /health HTTP/1.0\r\n")
    assert get(server, "/health")[0] == 200
    assert "Traceback" not in capsys.readouterr().err


def test_the_server_leaves_its_port(health):
    with HealthServer(health, "127.0.0.1", 0) as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/nowhere"])
def test_head_is_answered_as_get_without_the_body(server, path):
    said = {}
    for method in ("GET", "HEAD"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request(method, path)
        response = connection.getresponse()
        headers = {name: value for name, value in response.getheaders() if name != "Date"}
        said[method] = response.status, headers, response.read()
        connection.close()
    assert said["HEAD"][:2] == said["GET"][:2]
    assert said["HEAD"][2] == b""


async def test_a_note_is_shown_and_leaves_the_service_ready(health, monkeypatch):
    monkeypatch.setattr(kit_health, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(kit_health, "BEAT_EVERY", 0.001)
    said: list[str | None] = ["The keys are wrong."]

    async def look() -> str | None:
        return said[-1]

    health.add_note("calendar", look)
    await watched(health, lambda: health.body().notes == {"calendar": "The keys are wrong."})
    assert health.ready
    said.append(None)
    await watched(health, lambda: health.body().notes == {})


async def test_a_look_that_fails_is_a_note_too(health):
    async def look() -> str | None:
        raise ValueError("inside")

    health.add_note("calendar", look)
    await watched(health, lambda: health.body().notes == {"calendar": "cannot be looked at: ValueError"})
    assert health.ready
