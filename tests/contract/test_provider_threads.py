"""Conversations kept at the provider, against the real rest_service, Redis, and a provider that remembers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI
from pydantic import SecretStr
from structlog.testing import capture_logs

from assistant.src.core.errors import BrokenRowError, ModelError
from assistant.src.core.model import ToolSpec
from assistant.src.core.routing import router
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.tests.fakes import FunctionTool, ScriptedBackend, said
from assistant.tests.openai_standin import OpenAIStandIn, Says, Step, calls, text_of
from assistant.tests.standin import Reply, Request, completion, error
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, empty, make_settings, migrated_database, running
from service_kit.contracts.assistants import AssistantRead
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings
from tests.contract.provider_world import World, client_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def threads_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "threads") as url:
        yield url


@pytest.fixture(scope="module")
def _apps() -> dict[str, FastAPI]:
    return {}


@pytest.fixture
def app(threads_url: str, redis_settings: RedisSettings, _apps: dict[str, FastAPI]) -> FastAPI:
    """One for all tests, for making its routes takes longer than a test."""
    if "app" not in _apps:
        _apps["app"] = create_app(make_settings(threads_url, redis_settings))
    return _apps["app"]


@dataclass
class Scripted:
    """A world whose provider says what it is told to say."""

    world: World
    provider: OpenAIStandIn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def texts(self) -> list[str]:
        """What the conversation of the last request holds, oldest first."""
        return [
            text_of(item) for item in self.provider.conversations[self.provider.asked[-1]["conversation"]]
        ]


MakeWorld = Callable[..., Any]


@pytest.fixture
async def make_world(
    app: FastAPI, threads_url: str, redis_client: aioredis.Redis
) -> AsyncIterator[MakeWorld]:
    empty(threads_url)
    async with running(app) as admin, client_of(app) as client, AsyncExitStack() as stack:
        row = await admin.an_assistant("Secretary", assistant_type="openai_api")
        user = await admin.a_user(1)

        async def make(*steps: Step) -> Scripted:
            provider = await stack.enter_async_context(OpenAIStandIn(*steps))
            made = AssistantRead.model_validate(row)
            world = World(admin, client, redis_client, stack, provider.url, made, user["id"])
            return Scripted(world, provider)

        yield make


async def test_a_conversation_goes_on_and_only_what_is_new_is_sent(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    assistant = await world.assistant()
    assert await world.say(assistant, "Hi") == "Hello"
    assert await world.say(assistant, "How are you?") == "Fine"
    assert [len(body["input"]) for body in world.provider.asked] == [1, 1]
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]
    (row,) = await world.rows()
    assert [row["thread_id"]] == list(world.provider.conversations)
    assert row["last_used"] is not None


async def test_another_replica_goes_on_where_the_first_was(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    await world.say(await world.assistant(), "Hi")
    await world.say(await world.assistant(), "How are you?")
    assert len(world.provider.conversations) == 1
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


async def test_tools_are_answered_within_the_conversation(make_world):
    world = await make_world(calls(("now", {}), ("now", {})), Says("Noon"), Says("Still noon"))
    assistant = await world.assistant(FunctionTool("now", lambda: "12:00"))
    assert await world.say(assistant, "What time is it?") == "Noon"
    second = world.provider.asked[1]
    assert [item["type"] for item in second["input"]] == ["function_call_output"] * 2
    await world.say(assistant, "And now?")
    assert world.texts()[:6] == ["What time is it?", "now()", "now()", "12:00", "12:00", "Noon"]
    assert len(world.provider.conversations) == 1


def only(*paths: str) -> Callable[[Request], Reply | None]:
    """The server knows Chat Completions, and what of the rest begins like `paths`."""

    def refuses(request: Request) -> Reply | None:
        if request.target == "/v1/chat/completions":
            asked = [message["content"] for message in json.loads(request.body)["messages"][1:]]
            return completion(f"{len(asked)} over chat")
        return None if request.target.startswith(paths) else Reply(b"404 page not found", status=404)

    return refuses


CONVERSATIONS, RESPONSES, CLASSIC = OpenAIProtocol


@pytest.mark.parametrize(
    ("protocol", "knows", "lacks"),
    [
        (CONVERSATIONS, ("/v1/conversations",), ["/responses"]),
        (CONVERSATIONS, (), ["/responses", "/conversations"]),
        (RESPONSES, (), ["/responses"]),
        (CLASSIC, (), ["/threads"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_server_without_the_protocol_answers_over_chat(make_world, protocol, knows, lacks, streamed):
    world = await make_world(Says("never"))
    world.provider.refuses = only(*knows)
    world.world.protocol = protocol
    assistant = await world.assistant()
    more = {"on_text": lambda _text: None} if streamed else {}
    with capture_logs() as logs:
        assert await world.say(assistant, "Hi", **more) == "1 over chat"
        world.provider.requests.clear()
        assert await world.say(assistant, "How are you?", **more) == "3 over chat"
        assert world.provider.requests == [("POST", "/v1/chat/completions")]
    told = [
        (entry["path"], entry["log_level"]) for entry in logs if entry["event"] == "protocol_not_supported"
    ]
    assert told == [(path, "warning") for path in lacks]
    assert len(world.provider.conversations) == len(knows)


async def test_a_server_without_conversations_is_asked_for_one_once(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    world.provider.refuses = only("/v1/responses")
    assistant = await world.assistant()
    with capture_logs() as logs:
        assert await world.say(assistant, "Hi") == "Hello"
        assert await world.say(assistant, "How are you?") == "Fine"
    assert [text_of(item) for item in world.provider.asked[1]["input"]] == ["Hi", "Hello", "How are you?"]
    assert [entry["advice"] for entry in logs if entry["event"] == "protocol_not_supported"] == [
        "OPENAI_API_PROTOCOL=responses"
    ]
    assert [target for _, target in world.provider.requests].count("/v1/conversations") == 1


@pytest.mark.parametrize("protocol", [CONVERSATIONS, RESPONSES], ids=str)
async def test_a_model_without_tools_answers_without_them_and_is_asked_with_them_once(make_world, protocol):
    world = await make_world(Says("Hello"), Says("Fine"))
    world.world.protocol = protocol
    refused = error(400, message="m does not support tools")
    world.provider.refuses = lambda request: refused if b'"tools"' in request.body else None
    assistant = await world.assistant(FunctionTool("now", lambda: "12:00"))
    with capture_logs() as logs:
        assert await world.say(assistant, "Hi") == "Hello"
        assert await world.say(assistant, "How are you?") == "Fine"
    assert [text_of(item) for item in world.provider.asked[1]["input"]] == ["Hi", "Hello", "How are you?"]
    assert [entry["event"] for entry in logs].count("model_takes_no_tools") == 1
    assert [target for _, target in world.provider.requests].count("/v1/conversations") <= 1


async def test_a_gateway_with_nobody_behind_says_nothing_of_the_protocol(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant()
    world.provider.refuses = lambda _request: error(404)
    with pytest.raises(ModelError):
        await world.say(assistant, "Anybody?")
    world.provider.refuses = lambda _request: None
    assert await world.say(assistant, "Hi") == "Hello"
    assert len(world.provider.conversations) == 1


async def test_a_conversation_lost_at_the_provider_is_made_anew(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    world.provider.conversations.clear()
    assert await world.say(assistant, "How are you?") == "Fine"
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]
    (row,) = await world.rows()
    assert [row["thread_id"]] == list(world.provider.conversations)


async def test_one_lost_between_two_rounds_repeats_no_tool(make_world):
    world = await make_world(calls(("note", {})), Says("Noted"))
    ran: list[int] = []

    def note() -> str:
        world.provider.conversations.clear()
        ran.append(1)
        return "done"

    assert await world.say(await world.assistant(FunctionTool("note", note)), "Note it") == "Noted"
    assert ran == [1]
    assert world.texts() == ["Note it", "note()", "done", "Noted"]


async def test_a_call_that_nobody_answered_does_not_stop_the_conversation(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    (items,) = world.provider.conversations.values()
    items.append({"type": "function_call", "call_id": "call_x", "name": "now", "arguments": "{}"})
    assert await world.say(assistant, "How are you?") == "Fine"
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


async def test_a_locked_conversation_is_waited_for(make_world):
    locked = error(400, code="conversation_locked", message="Another process is operating on it.")
    world = await make_world(Says("Hello"), locked, Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    assert await world.say(assistant, "How are you?") == "Fine"
    assert len(world.provider.conversations) == 1


async def test_one_that_stays_locked_is_left(make_world):
    locked = error(400, code="conversation_locked", message="Another process is operating on it.")
    world = await make_world(Says("Hello"), locked, locked, Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    assert await world.say(assistant, "How are you?") == "Fine"
    assert len(world.provider.conversations) == 2
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


@pytest.mark.parametrize(
    "trouble",
    [
        error(500),
        Reply(b"<html>"),
        Says(failure=("server_error", "boom")),
        Says(calls=(("x", "{"),), status="incomplete"),
    ],
    ids=["500", "no answer", "failed", "cut"],
)
async def test_after_a_failure_that_may_have_left_a_trace_nothing_is_said_twice(make_world, trouble):
    world = await make_world(Says("Hello"), trouble, Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    assert await world.say(assistant, "How are you?") == "Fine"
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


async def test_a_limit_of_requests_leaves_the_conversation_as_it_is(make_world):
    world = await make_world(Says("Hello"), error(429, retry_after="0"), Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    assert await world.say(assistant, "How are you?") == "Fine"
    assert len(world.provider.conversations) == 1


async def test_after_a_message_that_failed_the_next_begins_from_what_is_stored(make_world):
    world = await make_world(Says("Hello"), *[Reply(b"<html>")] * 3, Says("Fine"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    with pytest.raises(ModelError):
        await world.say(assistant, "Lost")
    assert await world.say(assistant, "How are you?") == "Fine"
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


async def test_a_provider_that_failed_rests_while_another_model_answers(make_world):
    world = await make_world(error(500))
    assistant = await world.assistant(fallback=ScriptedBackend(said("From elsewhere")))
    with capture_logs() as logs:
        for text in ("Hi", "Anybody?", "Hello?"):
            assert await world.say(assistant, text) == "From elsewhere"
    assert len(world.provider.asked) == 3
    told = [entry for entry in logs if entry["event"] == "fallback_model"]
    assert len(told) == 3
    assert all(entry["failed"] and entry["reason"] for entry in told)


async def test_a_provider_that_hangs_leaves_time_for_another_model(make_world):
    world = await make_world(Reply(hang=True))
    assistant = await world.assistant(fallback=ScriptedBackend(said("From elsewhere")))
    deadline = asyncio.get_running_loop().time() + 2.0
    async with asyncio.timeout(4.5):  # the provider's own timeout is 5 s
        assert await world.say(assistant, "Hi", deadline=deadline) == "From elsewhere"


async def test_an_answer_that_is_none_is_no_reason_to_rest(make_world):
    world = await make_world(*[Reply(b"<html>")] * 3, Says("Fine"))
    assistant = await world.assistant(fallback=ScriptedBackend(said("From elsewhere")))
    assert await world.say(assistant, "Hi") == "From elsewhere"
    assert await world.say(assistant, "Anybody?") == "Fine"


async def test_a_fallback_model_answers_with_the_whole_history(make_world, monkeypatch):
    monkeypatch.setattr(router, "COOLDOWN", 0.0)
    fallback = ScriptedBackend(said("From elsewhere"))
    world = await make_world(Says("Hello"), *[error(500)] * 3, Says("Back"))
    assistant = await world.assistant(fallback=fallback)
    await world.say(assistant, "Hi")
    assert await world.say(assistant, "Anybody?") == "From elsewhere"
    assert [
        message.text.rpartition("</context>")[2].strip() for message in fallback.requests[0].messages
    ] == [
        "Hi",
        "Hello",
        "Anybody?",
    ]
    assert await world.say(assistant, "And now?") == "Back"
    assert world.texts() == ["Hi", "Hello", "Anybody?", "From elsewhere", "And now?", "Back"]


async def test_too_long_a_conversation_is_halved(make_world):
    long = error(400, code="context_length_exceeded", message="too long")
    world = await make_world(Says("1"), Says("2"), long, Says("3"))
    assistant = await world.assistant()
    for text in ("one", "two", "three"):
        await world.say(assistant, text)
    assert world.texts() == ["two", "2", "three", "3"]


async def test_a_redelivered_message_asks_nobody(make_world):
    world = await make_world(Says("Hello"), Says("Never"))
    assistant = await world.assistant()
    assert await world.say(assistant, "Hi", key="tg:7") == "Hello"
    assert await world.say(assistant, "Hi", key="tg:7") == "Hello"
    assert len(world.provider.asked) == 1


async def test_a_long_history_is_told_in_pieces(make_world):
    world = await make_world(lambda body: Says(text_of(body["input"][-1])))
    assistant = await world.assistant()
    for number in range(25):
        await world.say(assistant, f"m{number}")
    world.provider.conversations.clear()
    await world.say(assistant, "last")
    assert world.texts()[:2] == ["m0", "m0"]
    assert len(world.texts()) == 52


async def test_a_conversation_that_could_not_be_filled_is_deleted_again(make_world):
    world = await make_world(lambda body: Says(text_of(body["input"][-1])))
    assistant = await world.assistant()
    for number in range(12):
        await world.say(assistant, f"m{number}")
    world.provider.conversations.clear()
    refusals = [error(503)]
    world.provider.refuses = lambda request: (
        refusals.pop() if refusals and request.target.endswith("/items") else None
    )
    assert await world.say(assistant, "last") == "last"
    assert refusals == []
    (row,) = await world.rows()
    assert list(world.provider.conversations) == [row["thread_id"]]
    assert len(world.texts()) == 26


async def test_rest_service_is_away_and_the_answer_comes_all_the_same(make_world):
    world = await make_world(Says("Hello"), Says("Fine"))
    nobody = RestClientSettings(rest_service_url="http://127.0.0.1:1", service_api_key=SecretStr("x"))
    async with AsyncRestClient(nobody) as client:
        world.world.client, there = client, world.client
        assert await world.say(await world.assistant(), "Hi") == "Hello"
        world.world.client = there
    assert "conversation" not in world.provider.asked[0]
    assert world.provider.conversations == {}
    await world.say(await world.assistant(), "How are you?")
    assert world.texts() == ["Hi", "Hello", "How are you?", "Fine"]


class NothingIsWritten(httpx2.AsyncBaseTransport):
    """rest_service that only reads."""

    def __init__(self, app: FastAPI) -> None:
        self.inner = httpx2.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method != "GET":
            return httpx2.Response(503)
        return await self.inner.handle_async_request(request)


async def test_a_conversation_that_got_no_row_is_deleted_again(make_world, app):
    world = await make_world(Says("Hello"))
    settings = RestClientSettings(
        rest_service_url="http://rest_service:8000", service_api_key=SecretStr(SERVICE_KEY)
    )
    async with AsyncRestClient(settings, transport=NothingIsWritten(app)) as world.world.client:
        assert await world.say(await world.assistant(), "Hi") == "Hello"
    assert ("POST", "/v1/conversations") in world.provider.requests
    assert world.provider.conversations == {}
    assert "conversation" not in world.provider.asked[0]


async def test_a_server_without_conversations_gets_the_history(make_world):
    world = await make_world(lambda body: Says(str(len(body["input"]))))
    assistant = await world.assistant()
    world.provider.refuses = lambda request: (
        error(404) if request.target.startswith("/v1/conversations") else None
    )
    assert [await world.say(assistant, text) for text in ("a", "b")] == ["1", "3"]
    assert await world.rows() == []


async def test_two_replicas_make_one_thread(make_world):
    world = await make_world(Says("Hello"))
    one, two = await world.assistant(), await world.assistant()
    assert len(await asyncio.gather(world.say(one, "Hi"), world.say(two, "Hey"))) == 2
    (row,) = await world.rows()
    assert row["thread_id"] in world.provider.conversations
    await world.sweep(0)
    await world.sweep(1)
    assert list(world.provider.conversations) == [row["thread_id"]]


async def test_two_runs_at_once_in_one_process_do_not_meet(make_world):
    world = await make_world(lambda body: Says(f"to {text_of(body['input'][-1])}"))
    assistant = await world.assistant()
    await world.say(assistant, "first")
    answers = await asyncio.gather(*(world.say(assistant, f"m{number}") for number in range(4)))
    assert answers == [f"to m{number}" for number in range(4)]
    assert len(world.provider.conversations) == 1


async def test_a_new_conversation_reaches_the_provider(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    await world.forget()
    await world.sweep()
    assert (await world.rows(), await world.discards(), world.provider.conversations) == ([], [], {})
    await world.say(assistant, "Who am I?")
    assert world.texts() == ["Who am I?", "Hello"]


async def test_the_sweeper_wakes_up_for_a_new_conversation(make_world):
    world = await make_world(Says("Hello"))
    await world.say(await world.assistant(), "Hi")
    async with asyncio.TaskGroup() as group:
        sweeping = group.create_task(world.sweeper(every=3600).run())
        async with asyncio.timeout(30):
            while world.services[0].threads.forgotten.is_set():  # noqa: ASYNC110 - its first sweep begins
                await asyncio.sleep(0.01)
            await world.forget()
            while world.provider.conversations:  # noqa: ASYNC110 - looked at over HTTP
                await asyncio.sleep(0.01)
        sweeping.cancel()
    assert await world.rows() == []


async def test_a_conversation_begun_after_the_wish_to_forget_stays(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    await world.forget()
    await world.say(assistant, "Anew")
    await world.sweep()
    (row,) = await world.rows()
    assert list(world.provider.conversations) == [row["thread_id"]]
    assert world.texts() == ["Anew", "Hello"]


@pytest.mark.parametrize("gone", ["users", "assistants"])
async def test_who_is_deleted_is_deleted_at_the_provider(make_world, gone):
    world = await make_world(Says("Hello"))
    await world.say(await world.assistant(), "Hi")
    place = f"/api/users/{world.user}" if gone == "users" else f"/api/assistants/{world.row.id}"
    assert (await world.admin.delete(place)).status_code == 204
    await world.sweep()
    assert (world.provider.conversations, await world.discards()) == ({}, [])
    if gone == "users":
        assert await world.redis.keys("conversation*") == []


async def test_one_that_cannot_be_deleted_holds_up_no_other(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant()
    await world.say(assistant, "Hi")
    (name,) = world.provider.conversations
    world.provider.refuses = lambda request: (
        error(500) if (request.method, name in request.target) == ("DELETE", True) else None
    )
    world.provider.conversations["conv_old"] = []
    for thread in ("conv_old", name):
        (row,) = await world.rows()
        await world.admin.patch(f"/api/user-threads/{row['id']}", {"thread_id": thread})
    await world.admin.delete(f"/api/user-threads/{row['id']}")
    await world.sweep()
    assert {row["reference"] for row in await world.discards()} == {name}
    assert list(world.provider.conversations) == [name]
    world.provider.refuses = lambda _request: None
    await world.sweep()
    assert (await world.discards(), world.provider.conversations) == ([], {})


async def test_nothing_is_kept_anywhere_where_the_operator_wants_that(make_world):
    world = await make_world(calls(("now", {}), thought="hm"), Says("Noon"), Says("Later"))
    world.world.protocol = OpenAIProtocol.RESPONSES
    assistant = await world.assistant(FunctionTool("now", lambda: "12:00"))
    assert await world.say(assistant, "Time?") == "Noon"
    assert await world.say(assistant, "And now?") == "Later"
    assert (await world.rows(), world.provider.conversations) == ([], {})
    assert [item["type"] for item in world.provider.asked[1]["input"]] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    assert all(body["store"] is False for body in world.provider.asked)


async def test_a_message_that_is_delivered_again_goes_on_and_repeats_no_tool(make_world):
    world = await make_world(Says("Hello"), calls(("note", {})), Reply(hang=True), Says("Noted"))
    ran: list[str] = []

    def note() -> str:
        ran.append("note")
        return "done"

    assistant = await world.assistant(FunctionTool("note", note))
    await world.say(assistant, "Hi")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await world.say(assistant, "Note it", key="tg:9")
    replica = await world.assistant(FunctionTool("note", note))
    assert await world.say(replica, "Note it", key="tg:9") == "Noted"
    assert ran == ["note"]
    assert world.texts() == ["Hi", "Hello", "Note it", "note()", "done", "Noted"]


async def test_turns_that_changed_here_are_told_anew(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant()
    for text in ("one", "two"):
        await world.say(assistant, text)
    await world.redis.ltrim(f"conversation:{world.user}:{world.row.id}", -1, -1)
    await world.say(assistant, "three")
    assert world.texts() == ["two", "Hello", "three", "Hello"]


async def test_users_do_not_meet(make_world):
    world = await make_world(lambda body: Says(f"to {text_of(body['input'][-1])}"))
    assistant = await world.assistant()
    ada, eve = world.user, (await world.admin.a_user(2))["id"]
    for number in range(3):
        for user in (ada, eve):
            world.world.user = user
            assert await world.say(assistant, f"{number} of {user}") == f"to {number} of {user}"
    rows = await world.rows()
    assert {row["user_id"] for row in rows} == {ada, eve}
    for row in rows:
        held = world.provider.conversations[row["thread_id"]]
        assert len(held) == 6
        assert all(text_of(item).endswith(f" of {row['user_id']}") for item in held)


async def test_what_the_model_is_told_of_the_tools_may_be_said_otherwise(make_world):
    world = await make_world(Says("Hello"))
    assistant = await world.assistant(FunctionTool("now", lambda: "12:00"), FunctionTool("note", lambda: ""))
    spec = ToolSpec("now", "Tells the hour", {"type": "object", "properties": {}})
    await assistant.update_assistant(tools=[spec], model="openai/gpt-4.1", instructions="Be long.")
    await world.say(assistant, "Hi")
    (body,) = world.provider.asked
    assert (body["model"], body["instructions"]) == ("gpt-4.1", "Be long.")
    assert [(tool["name"], tool["description"]) for tool in body["tools"]] == [("now", "Tells the hour")]
    with pytest.raises(BrokenRowError, match="fly"):
        await assistant.update_assistant(tools=[ToolSpec("fly", "", {})])
