"""Three assistants and the real rest_service: what is changed is in force for the next message of each.

And when rest_service is away, each goes on with what it knew last.
"""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI

from assistant.src.core.model import ModelAnswer, ModelRequest, TextSink, ToolMessage
from assistant.src.orchestrator import AssistantOrchestrator
from assistant.tests.fakes import calls, said
from assistant.tests.integration.conftest import delivery_of, orchestrator_of
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, Api, empty, make_settings, migrated_database, running
from service_kit import redis as kit_redis
from service_kit.changes import Topic, announce
from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.queue.base import Reject
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings

pytestmark = pytest.mark.integration

REPLICAS = 3


class TellingBackend:
    """A model that tells what it was given; asked to `ask`, it asks the sub-assistant, if it has one."""

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        last = request.messages[-1]
        tools = {tool.name: tool.description for tool in request.tools}
        if isinstance(last, ToolMessage):
            return said(last.text)
        if "ask_planner" in tools and last.text.endswith("ask"):
            return calls(("ask_planner", {"request": "go on"}))
        user = next((line for line in last.text.splitlines() if line.startswith("user: ")), "")
        return said(json.dumps({"instructions": request.instructions, "tools": tools, "user": user}))


class Line(httpx2.ASGITransport):
    """The way to rest_service; it can be cut."""

    down = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("refused")
        return await super().handle_async_request(request)


@dataclass(slots=True)
class World:
    """The rows, rest_service, and the replicas that serve from it."""

    api: Api
    line: Line
    replicas: list[AssistantOrchestrator] = field(default_factory=list)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    number: int = 0

    async def each(self, text: str = "tell") -> list[OutgoingMessage]:
        """What each replica answers to its next message."""
        return [await self._one(replica, text) for replica in self.replicas]

    async def told(self) -> dict[str, Any]:
        """What each replica's model is given: the same."""
        first, *others = [json.loads(reply.text) for reply in await self.each()]
        assert all(other == first for other in others)
        return dict(first)

    async def planner(self) -> str:
        """What each replica's sub-assistant is told to be, or why there is none."""
        texts = {reply.text for reply in await self.each("ask")}
        assert len(texts) == 1
        return str(json.loads(texts.pop())["instructions"])

    async def _one(self, replica: AssistantOrchestrator, text: str) -> OutgoingMessage:
        self.number += 1
        message = IncomingMessage(
            id=f"tg:{self.number}", user_id=self.rows["user"]["id"], chat_id=1, text=text
        )
        (reply,) = await replica.handle(delivery_of(message.model_dump_json().encode()))
        return reply

    async def patch(self, path: str, row: str, **fields: Any) -> None:
        response = await self.api.patch(f"{path}/{self.rows[row]['id']}", fields)
        assert response.status_code == 200, response.text

    async def delete(self, path: str, row: str) -> None:
        response = await self.api.delete(f"{path}/{self.rows[row]['id']}")
        assert response.status_code == 204, response.text


ASSISTANTS, TOOLS, LINKS, USERS = "/api/assistants", "/api/tools", "/api/assistant-tools", "/api/users"


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "live") as url:
        yield url


@pytest.fixture(scope="module")
def _apps() -> dict[str, FastAPI]:
    """One app for all tests, for making its routes takes longer than a test; each starts it anew."""
    return {}


@pytest.fixture
async def world(
    own_url: str, redis_settings: RedisSettings, redis_client: aioredis.Redis, _apps: dict[str, FastAPI]
) -> AsyncIterator[World]:
    empty(own_url)
    if "app" not in _apps:
        _apps["app"] = create_app(make_settings(own_url, redis_settings))
    app = _apps["app"]
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(running(app))
        made = World(api, Line(app=app))
        boss = await api.an_assistant("Boss", is_secretary=True)
        planner = await api.an_assistant("Planner")
        clock = await api.a_tool("clock")
        ask = await api.a_sub_assistant_tool("ask_planner", planner)
        made.rows = {
            "boss": boss,
            "planner": planner,
            "clock": clock,
            "ask": ask,
            "boss_clock": await api.a_link(boss, clock),
            "boss_ask": await api.a_link(boss, ask),
            "user": await api.a_user(first_name="Ada"),
        }
        settings = RestClientSettings(
            rest_service_url="http://rest_service:8000", service_api_key=SERVICE_KEY
        )
        for _ in range(REPLICAS):
            client = await stack.enter_async_context(AsyncRestClient(settings, transport=made.line))
            redis = kit_redis.connect(redis_settings)
            stack.push_async_callback(redis.aclose)
            made.replicas.append(orchestrator_of(TellingBackend(), client, redis))
        assert await made.told() == {
            "instructions": "You are Boss.",
            "tools": {"clock": "Tells the time.", "ask_planner": ask["description"]},
            "user": "user: Ada",
        }
        assert await made.planner() == "You are Planner."
        yield made


async def test_a_changed_secretary(world: World):
    await world.patch(ASSISTANTS, "boss", instructions="You are kind.")
    assert (await world.told())["instructions"] == "You are kind."


@pytest.mark.parametrize("gone", ["deactivated", "deleted"])
async def test_a_secretary_that_goes_leaves_the_next_one(world: World, gone: str):
    await world.api.an_assistant("Deputy", is_secretary=True)
    assert (await world.told())["instructions"] == "You are Boss."
    if gone == "deactivated":
        await world.patch(ASSISTANTS, "boss", is_active=False)
    else:
        await world.delete(ASSISTANTS, "boss")
    assert (await world.told())["instructions"] == "You are Deputy."


async def test_a_changed_sub_assistant(world: World):
    await world.patch(ASSISTANTS, "planner", instructions="You plan.")
    assert await world.planner() == "You plan."


Change = Callable[[World], Awaitable[None]]
GONE: dict[str, tuple[str, Change]] = {
    "sub-assistant deactivated": (
        "ask_planner",
        lambda world: world.patch(ASSISTANTS, "planner", is_active=False),
    ),
    "tool deactivated": ("clock", lambda world: world.patch(TOOLS, "clock", is_active=False)),
    "tool deleted": ("clock", lambda world: world.delete(TOOLS, "clock")),
    "sub-assistant's tool deleted": ("ask_planner", lambda world: world.delete(TOOLS, "ask")),
    "link deactivated": ("clock", lambda world: world.patch(LINKS, "boss_clock", is_active=False)),
    "link deleted": ("ask_planner", lambda world: world.delete(LINKS, "boss_ask")),
}


@pytest.mark.parametrize(("tool", "change"), GONE.values(), ids=GONE)
async def test_what_is_gone_is_not_offered_any_more(world: World, tool: str, change: Change):
    await change(world)
    assert set((await world.told())["tools"]) == {"clock", "ask_planner"} - {tool}


async def test_a_deleted_sub_assistant_is_not_offered_any_more(world: World):
    await world.delete(TOOLS, "ask")
    await world.delete(ASSISTANTS, "planner")
    assert set((await world.told())["tools"]) == {"clock"}


async def test_a_changed_and_a_new_tool(world: World):
    await world.patch(TOOLS, "clock", description="Tells the hour.")
    assert (await world.told())["tools"]["clock"] == "Tells the hour."
    world.rows["calendar"] = await world.api.a_tool("calendar")
    await world.api.a_link(world.rows["planner"], world.rows["calendar"])
    assert set((await world.told())["tools"]) == {"clock", "ask_planner"}
    await world.api.a_link(world.rows["boss"], world.rows["calendar"])
    assert set((await world.told())["tools"]) == {"clock", "ask_planner", "calendar"}


async def test_a_changed_a_blocked_and_a_deleted_user(world: World):
    await world.patch(USERS, "user", first_name="Grace")
    assert (await world.told())["user"] == "user: Grace"
    await world.patch(USERS, "user", role="blocked")
    assert [reply.to_stranger for reply in await world.each()] == [True] * REPLICAS
    await world.patch(USERS, "user", role="member")
    await world.told()
    await world.delete(USERS, "user")
    with pytest.raises(Reject, match="unknown user"):
        await world.each()


class Later:
    """The clock of the caches, some seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.time_ns = time.time_ns

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds


@pytest.mark.parametrize("seconds", [0.0, 31.0, 3600.0])
async def test_the_last_known_serves_while_rest_service_is_away(
    world: World, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch, seconds: float
):
    before = await world.told()
    await world.patch(ASSISTANTS, "planner", instructions="You plan.")
    assert await world.planner() == "You plan."
    world.line.down = True
    await announce(redis_client, Topic.CONFIGURATION, Topic.USERS)
    monkeypatch.setattr("service_kit.changes.time", Later(seconds))
    assert await world.told() == before
    assert await world.planner() == "You plan."
    world.line.down = False
    await world.patch(ASSISTANTS, "planner", instructions="You plan well.")
    assert await world.planner() == "You plan well."


async def test_what_messages_cost_is_stored(world: World):
    await world.each("ask")
    for replica in world.replicas:
        await replica._usage.drain()
    response = await world.api.get("/api/usage")
    assert response.status_code == 200, response.text
    records = response.json()
    # each replica has been asked three times by now: two answers of Boss alone, one through Planner
    assert {record["assistant"] for record in records} == {"Boss", "Planner"}
    assert {record["user_id"] for record in records} == {world.rows["user"]["id"]}
    assert len({record["id"] for record in records}) == len(records)
