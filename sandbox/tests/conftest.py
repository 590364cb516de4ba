"""A sandbox on a free port of this machine, and a client for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from pydantic import SecretStr

from sandbox.application import create_app
from sandbox.guard import Guard
from sandbox.openai.pace import Pace
from sandbox.storage import Store
from service_kit.health import Health
from service_kit.hosts import AllowedHosts

Json = Any
SECRET = "the-secret-of-the-link"
TOKEN = "7:the-token-that-is-configured"


class Outside:
    """The sandbox as its users see it: over HTTP."""

    def __init__(self, url: str, session: aiohttp.ClientSession, app: web.Application) -> None:
        self.url = url
        self.app = app
        self.session = session

    async def get(self, path: str) -> Json:
        async with self.session.get(self.url + path) as response:
            return await response.json()

    async def post(self, path: str, body: Json) -> Json:
        async with self.session.post(self.url + path, json=body) as response:
            return await response.json()

    async def bot(self, method: str, token: str = "7:abc", **parameters: Json) -> Json:
        """A Bot API call; the whole answer, whatever its status."""
        return await self.post(f"/telegram/bot{token}/{method}", parameters)

    async def updates(self, **parameters: Json) -> list[Json]:
        return list((await self.bot("getUpdates", **parameters))["result"])

    async def person(self, name: str = "Ada") -> int:
        return int((await self.post("/chat/people", {"name": name}))["id"])

    async def say(self, person: int, text: str) -> Json:
        return await self.post(f"/chat/people/{person}/messages", {"text": text})

    async def messages(self, person: int, query: str = "after=0") -> Json:
        return await self.get(f"/chat/people/{person}/messages?{query}")

    async def fault(self, **fault: Json) -> None:
        answer = await self.post("/control/faults", fault)
        assert "faults" in answer, answer


@asynccontextmanager
async def running(
    state: Path | None = None, *, secret: str | None = None, token: str | None = None
) -> AsyncIterator[Outside]:
    with Store(state) as store:
        guard = Guard(AllowedHosts("127.0.0.1"), SecretStr(secret) if secret else None)
        app = create_app(
            store=store,
            pace=Pace(),
            health=Health("sandbox"),
            guard=guard,
            token=SecretStr(token) if token else None,
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with aiohttp.ClientSession() as session:
                yield Outside(f"http://127.0.0.1:{runner.addresses[0][1]}", session, app)
        finally:
            await runner.cleanup()


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with running() as started:
        yield started


@pytest.fixture
def restarted(tmp_path: Path):
    """Starts a sandbox that keeps its state; used again, the same state."""
    return lambda: running(tmp_path / "state" / "sandbox.sqlite")


@pytest.fixture
async def locked() -> AsyncIterator[Outside]:
    """One that knows whom it serves."""
    async with running(secret=SECRET, token=TOKEN) as started:
        yield started


@pytest.fixture
async def client(outside: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    # plain HTTP: reading the machine's certificates for each test would take most of its time
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(
        api_key="sk-test", base_url=f"{outside.url}/openai/v1", max_retries=0, timeout=5.0, http_client=http
    ) as client:
        yield client
