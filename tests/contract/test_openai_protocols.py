"""`openai_api` assistants over each protocol of the sandbox, with the real rest_service and Redis."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI

from assistant.src.core.errors import ModelError
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.src.tools.time_tool import TimeTool
from rest_service.app.main import create_app
from rest_service.tests.support import empty, make_settings, migrated_database, running
from sandbox.tests.conftest import Outside
from sandbox.tests.conftest import running as sandbox_running
from service_kit.contracts.assistants import AssistantRead
from service_kit.settings import RedisSettings
from tests.contract.provider_world import World, client_of

pytestmark = pytest.mark.integration

KEEPING = (OpenAIProtocol.CONVERSATIONS, OpenAIProtocol.THREADS)
PLACES = {OpenAIProtocol.CONVERSATIONS: "conversations", OpenAIProtocol.THREADS: "threads"}
BETA = {"Authorization": "Bearer x", "OpenAI-Beta": "assistants=v2"}


@pytest.fixture(scope="module")
def protocols_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "protocols") as url:
        yield url


@pytest.fixture(scope="module")
def _apps() -> dict[str, FastAPI]:
    return {}


@pytest.fixture
def app(protocols_url: str, redis_settings: RedisSettings, _apps: dict[str, FastAPI]) -> FastAPI:
    """One for all tests, for making its routes takes longer than a test."""
    if "app" not in _apps:
        _apps["app"] = create_app(make_settings(protocols_url, redis_settings))
    return _apps["app"]


@dataclass
class Sandboxed:
    """A world whose provider is the sandbox."""

    world: World
    outside: Outside

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{self.outside.url}/openai/v1/{path}"
        async with self.outside.session.request(method, url, json=body, headers=BETA) as response:
            return response.status, await response.json()

    async def thread(self) -> str:
        """The provider's name for the one thread."""
        (row,) = await self.rows()
        return f"{PLACES[self.protocol]}/{row['thread_id']}"

    async def is_there(self, thread: str) -> bool:
        return (await self.ask("GET", thread))[0] == 200


Make = Callable[[OpenAIProtocol], Awaitable[Sandboxed]]


@pytest.fixture
async def sandboxed(app: FastAPI, protocols_url: str, redis_client: aioredis.Redis) -> AsyncIterator[Make]:
    empty(protocols_url)
    async with (
        sandbox_running() as outside,
        running(app) as admin,
        client_of(app) as client,
        AsyncExitStack() as stack,
    ):
        row = await admin.an_assistant(
            "Jeeves", assistant_type="openai_api", instructions="You are Jeeves.", model="openai/sandbox-demo"
        )
        user = await admin.a_user(1)

        async def make(protocol: OpenAIProtocol) -> Sandboxed:
            url, made = f"{outside.url}/openai/v1", AssistantRead.model_validate(row)
            world = World(admin, client, redis_client, stack, url, made, user["id"], protocol)
            return Sandboxed(world, outside)

        yield make


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", OpenAIProtocol)
async def test_a_conversation_with_tools(sandboxed, protocol, streamed):
    world = await sandboxed(protocol)
    assistant = await world.assistant(TimeTool())
    told: list[str] = []
    more = {"on_text": told.append} if streamed else {}
    assert "Jeeves" in await world.say(assistant, "Who are you?", **more)
    await world.say(assistant, "My name is Ada", **more)
    answer = await world.say(assistant, "What time is it in Tokyo?", **more)
    assert "Tokyo" in answer
    assert "Ada" in await world.say(assistant, "What is my name?", **more)
    rows = await world.rows()
    assert len(rows) == (0 if protocol is OpenAIProtocol.RESPONSES else 1)
    if streamed:
        assert answer in told
        assert any(answer.startswith(text) and text != answer for text in told)


@pytest.mark.parametrize("protocol", KEEPING)
async def test_a_thread_that_is_lost_is_made_anew(sandboxed, protocol):
    world = await sandboxed(protocol)
    assistant = await world.assistant(TimeTool())
    await world.say(assistant, "My name is Ada")
    lost = await world.thread()
    assert (await world.ask("DELETE", lost))[0] == 200
    assert "Ada" in await world.say(assistant, "What is my name?")
    assert await world.thread() != lost
    assert await world.is_there(await world.thread())


@pytest.mark.parametrize("protocol", KEEPING)
async def test_forgetting_and_deleting_reach_the_provider(sandboxed, protocol):
    world = await sandboxed(protocol)
    assistant = await world.assistant(TimeTool())
    await world.say(assistant, "My name is Ada")
    first = await world.thread()
    await world.forget()
    await world.sweep()
    assert not await world.is_there(first)
    assert "Ada" not in await world.say(assistant, "What is my name?")
    second = await world.thread()
    await world.admin.delete(f"/api/users/{world.user}")
    await world.sweep()
    assert not await world.is_there(second)
    assert await world.discards() == []


@pytest.mark.parametrize("protocol", KEEPING)
async def test_two_replicas_make_one_thread(sandboxed, protocol):
    world = await sandboxed(protocol)
    replicas = [await world.assistant(TimeTool()) for _ in range(3)]
    answers = await asyncio.gather(*(world.say(replica, "Who are you?") for replica in replicas))
    assert all("Jeeves" in answer for answer in answers)
    for number in range(3):
        await world.sweep(number)
    assert await world.is_there(await world.thread())
    assert await world.discards() == []


async def test_a_truncated_stream_is_asked_again(sandboxed):
    world = await sandboxed(OpenAIProtocol.CONVERSATIONS)
    assistant = await world.assistant(TimeTool())
    await world.say(assistant, "My name is Ada")
    await world.outside.fault(target="openai", kind="truncate", method="responses", times=1, after_chunks=3)
    told: list[str] = []
    assert "Ada" in await world.say(assistant, "What is my name?", on_text=told.append)


async def test_a_run_that_fails_is_begun_again(sandboxed):
    world = await sandboxed(OpenAIProtocol.THREADS)
    assistant = await world.assistant(TimeTool())
    await world.say(assistant, "My name is Ada")
    await world.outside.fault(target="openai", kind="fail", method="runs.create", times=1)
    assert "Ada" in await world.say(assistant, "What is my name?")


async def test_a_run_that_nobody_waited_for_is_cancelled(sandboxed):
    world = await sandboxed(OpenAIProtocol.THREADS)
    assistant = await world.assistant(TimeTool())
    await world.say(assistant, "My name is Ada")
    thread = await world.thread()
    (remote,) = (await world.ask("GET", "assistants"))[1]["data"]
    await world.ask("POST", f"{thread}/messages", {"role": "user", "content": "What time is it in Tokyo?"})
    await world.ask("POST", f"{thread}/runs", {"assistant_id": remote["id"]})
    assert "Ada" in await world.say(assistant, "What is my name?")
    assert await world.thread() == thread


async def test_the_assistant_is_made_once_and_follows_its_row(sandboxed):
    world = await sandboxed(OpenAIProtocol.THREADS)
    replicas = [await world.assistant(TimeTool()) for _ in range(3)]
    await asyncio.gather(*(world.say(replica, "Who are you?") for replica in replicas))
    (remote,) = (await world.ask("GET", "assistants"))[1]["data"]
    assert (remote["name"], remote["instructions"]) == ("Jeeves", "You are Jeeves.")
    assert [tool["function"]["name"] for tool in remote["tools"]] == ["current_time"]

    await replicas[0].update_assistant(instructions="You are Hobson.", name="Hobson", tools=())
    (changed,) = (await world.ask("GET", "assistants"))[1]["data"]
    assert changed["id"] == remote["id"]
    assert (changed["name"], changed["instructions"], changed["tools"]) == ("Hobson", "You are Hobson.", [])
    assert "Hobson" in await world.say(replicas[0], "Who are you?")

    await world.ask("DELETE", f"assistants/{remote['id']}")
    assert "Hobson" in await world.say(replicas[0], "Who are you?")
    (again,) = (await world.ask("GET", "assistants"))[1]["data"]
    assert again["id"] != remote["id"]


async def test_an_assistant_that_the_row_names_is_used_and_not_made(sandboxed):
    world = await sandboxed(OpenAIProtocol.THREADS)
    _, remote = await world.ask("POST", "assistants", {"model": "sandbox-demo", "instructions": "Old."})
    world.world.row = world.row.model_copy(update={"openai_assistant_id": remote["id"]})
    assert "Jeeves" in await world.say(await world.assistant(TimeTool()), "Who are you?")
    (now,) = (await world.ask("GET", "assistants"))[1]["data"]
    assert (now["id"], now["instructions"]) == (remote["id"], "You are Jeeves.")


async def test_an_assistant_that_the_row_names_and_nobody_knows(sandboxed):
    world = await sandboxed(OpenAIProtocol.THREADS)
    world.world.row = world.row.model_copy(update={"openai_assistant_id": "asst_gone"})
    with pytest.raises(ModelError, match="openai_assistant_id"):
        await world.say(await world.assistant(TimeTool()), "Who are you?")


async def test_one_tool_call_by_itself(sandboxed):
    world = await sandboxed(OpenAIProtocol.CONVERSATIONS)
    assistant = await world.assistant(TimeTool())
    told = json.loads(await assistant._execute_tool_call("current_time", '{"timezone": "Asia/Tokyo"}'))
    assert told["timezone"] == "Asia/Tokyo"
    assert json.loads(await assistant._execute_tool_call("current_time", {"timezone": "Mars"}))["error"]
    assert json.loads(await assistant._execute_tool_call("fly", "{}"))["error"]["type"] == "unknown_tool"
