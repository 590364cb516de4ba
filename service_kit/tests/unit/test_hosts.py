"""No HTTP port of ours answers to a name that is not ours."""

import asyncio
import socket

import httpx2
import pytest

from service_kit.health import Health, HealthServer
from service_kit.hosts import AllowedHosts
from service_kit.settings import ServiceSettings
from service_kit.web import only_known_hosts, serve


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("localhost.:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("rest_service:8000", True),
        ("assistant", True),
        ("10.1.2.3:8000", True),
        ("box.example:8000", True),
        (None, True),
        ("", False),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("evil.example#localhost", False),
        ("0.0.0.0:8000", False),
        ("[::", False),
    ],
)
def test_names_that_are_ours(header: str | None, allowed: bool):
    assert AllowedHosts("10.1.2.3", " box.example, ").allow(header) is allowed


def test_an_address_of_all_interfaces_is_no_name():
    assert not AllowedHosts("0.0.0.0").allow("0.0.0.0")


async def test_a_health_server_answers_to_its_names_only():
    with HealthServer(Health("a"), "127.0.0.1", 0, allowed_hosts="box.example") as server:
        url = f"http://127.0.0.1:{server.port}/health"
        async with httpx2.AsyncClient() as client:
            found = {
                name: (await client.get(url, headers={"Host": name})).status_code
                for name in ("localhost", "box.example", "evil.example")
            }
    assert found == {"localhost": 200, "box.example": 200, "evil.example": 403}


async def test_an_api_answers_to_its_names_only():
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secret"})

    transport = httpx2.ASGITransport(app=only_known_hosts(app, AllowedHosts("127.0.0.1")))
    async with httpx2.AsyncClient(transport=transport) as client:
        assert (await client.get("http://127.0.0.1/x")).text == "secret"
        refused = await client.get("http://evil.example/x")
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_host")


async def test_whatever_is_served_stands_behind_the_check():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secret"})

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = asyncio.Event()
    settings = ServiceSettings(http_host="127.0.0.1", http_port=port, allowed_hosts="box.example")
    task = asyncio.create_task(serve(app, settings, stop))
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(20):
            while True:
                try:
                    assert (await client.get("/")).text == "secret"
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.01)
            assert (await client.get("/", headers={"Host": "box.example"})).status_code == 200
            assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403
    finally:
        stop.set()
        await task
