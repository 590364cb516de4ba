"""The classic protocol where it goes wrong; that it goes right is tested against the sandbox."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from assistant.src.core.errors import (
    AnswerTooLargeError,
    BadAnswerError,
    ContextOverflowError,
    CutAnswerError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    NoCreditError,
    ThreadLostError,
)
from assistant.src.core.model import (
    AssistantMessage,
    ModelAnswer,
    ModelRequest,
    TextSink,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.thread_backend import Identity
from assistant.src.core.threads.backend import RunsBackend
from assistant.src.core.threads.remote_assistants import RemoteAssistants
from assistant.src.utils.text import compact_json
from assistant.tests.standin import HttpStandIn, Reply, Request, error

TOOL = ToolSpec("now", "tells the time", {"type": "object", "properties": {}})
REQUEST = ModelRequest(models=("m",), instructions="x", messages=(), tools=(TOOL,))
ASKED = (UserMessage("Hi"),)


class KnownAssistant:
    """In the place of `RemoteAssistants`: the assistant is there, and its loss is noted."""

    def __init__(self) -> None:
        self.forgotten = False

    async def ensure(self, *_parts: object) -> str:
        return "asst_1"

    async def find_id(self, *_parts: object) -> str | None:
        return "asst_1"

    async def forget(self, *_parts: object) -> None:
        self.forgotten = True


class ClassicStandIn(HttpStandIn):
    """Answers each kind of request with its next reply, then with the last one again."""

    def __init__(self, **replies: list[Reply]) -> None:
        super().__init__()
        self.replies = replies
        self.requests: list[tuple[str, Any]] = []

    def respond(self, request: Request) -> Reply:
        path = request.target.partition("?")[0].removeprefix("/v1/threads/thread_1/").strip("/").split("/")
        kind = {
            ("POST", "messages"): "add",
            ("GET", "messages"): "texts",
            ("GET", "runs"): "list" if len(path) == 1 else "look",
            ("POST", "runs"): "begin",
        }[request.method, path[0]]
        kind = {"cancel": "cancel", "submit_tool_outputs": "submit"}.get(path[-1], kind)
        self.requests.append((kind, json.loads(request.body or b"null")))
        replies = self.replies.get(kind, [json_of({"id": "msg_1"})])
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.requests]


def json_of(value: Any) -> Reply:
    return Reply(compact_json(value).encode())


def run(status: str, **more: Any) -> Reply:
    return json_of({"id": "run_1", "status": status, **more})


def wants(*call_ids: str) -> dict[str, Any]:
    made = [
        {"id": one, "type": "function", "function": {"name": "now", "arguments": "{}"}} for one in call_ids
    ]
    return {"required_action": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": made}}}


def said(text: str) -> Reply:
    content = [{"type": "text", "text": {"value": text, "annotations": []}}]
    return json_of({"data": [{"role": "assistant", "content": content}]})


def events(*told: tuple[str, Any]) -> Reply:
    body = "".join(f"event: {kind}\ndata: {compact_json(data)}\n\n" for kind, data in told)
    return Reply(body.encode(), headers={"Content-Type": "text/event-stream"})


@asynccontextmanager
async def backend_at(
    server: ClassicStandIn, known: KnownAssistant | None = None
) -> AsyncIterator[RunsBackend]:
    timeouts = Timeouts(connect=30, first_token=30, stall=30, whole=30)
    async with (
        server,
        aclosing(Provider("openai", base_url=f"{server.url}/v1", timeouts=timeouts)) as provider,
    ):
        remote = cast("RemoteAssistants", known or KnownAssistant())
        yield RunsBackend(provider, remote, Identity("key", "Jeeves"), run_timeout=1.0)


async def asked(
    server: ClassicStandIn, *, on_text: TextSink | None = None, known: KnownAssistant | None = None
) -> ModelAnswer:
    async with backend_at(server, known) as backend:
        return await backend.ask("thread_1", REQUEST, ASKED, run="", on_text=on_text)


@pytest.mark.parametrize(
    ("ended", "error_type"),
    [
        (run("expired"), ModelUnavailableError),
        (run("cancelled"), ModelUnavailableError),
        (run("failed", last_error={"code": "server_error", "message": "boom"}), ModelUnavailableError),
        (run("failed", last_error={"code": "rate_limit_exceeded", "message": "x"}), ModelUnavailableError),
        (
            run("failed", last_error={"code": "rate_limit_exceeded", "message": "insufficient balance"}),
            ModelRefusedError,
        ),
        (
            run(
                "failed",
                last_error={
                    "code": "rate_limit_exceeded",
                    "message": "You exceeded your current quota, please check your plan and billing details.",
                },
            ),
            ModelRefusedError,
        ),
        (run("failed", last_error={"code": "invalid_prompt", "message": "no"}), ModelRefusedError),
        (run("incomplete", incomplete_details={"reason": "max_prompt_tokens"}), ContextOverflowError),
        (run("incomplete", incomplete_details={"reason": "max_completion_tokens"}), ModelRefusedError),
        (run("completed"), BadAnswerError),
        (Reply(b"<html>"), BadAnswerError),
        (error(500), ModelUnavailableError),
    ],
    ids=str,
)
async def test_a_run_without_an_answer(ended, error_type):
    with pytest.raises(error_type):
        await asked(ClassicStandIn(begin=[ended], texts=[json_of({"data": []})]))


async def test_a_run_is_looked_at_until_it_ends():
    server = ClassicStandIn(
        begin=[run("queued")], look=[run("in_progress"), run("completed")], texts=[said("Hi")]
    )
    assert (await asked(server)).text == "Hi"
    assert server.kinds() == ["add", "begin", "look", "look", "texts"]


async def test_a_run_that_never_ends_is_cancelled():
    server = ClassicStandIn(begin=[run("queued")], look=[run("in_progress")], cancel=[run("cancelled")])
    with pytest.raises(ModelTimeoutError, match="still in_progress"):
        await asked(server)
    assert server.kinds()[-1] == "cancel"


async def test_an_answer_that_was_cut_is_one():
    cut = run("incomplete", incomplete_details={"reason": "max_completion_tokens"})
    assert (await asked(ClassicStandIn(begin=[cut], texts=[said("Half a")]))).text == "Half a"


async def test_what_is_not_there_any_more():
    known = KnownAssistant()
    with pytest.raises(ThreadLostError):
        await asked(ClassicStandIn(add=[error(404, message="No thread found")]), known=known)
    assert known.forgotten


async def test_a_limit_of_requests_after_the_message_was_added_is_no_harmless_one():
    with pytest.raises(ModelUnavailableError) as raised:
        await asked(ClassicStandIn(begin=[error(429, retry_after="3")]))
    assert (raised.value.status, raised.value.retry_after) == (None, 3.0)


@pytest.mark.parametrize(
    "replies",
    [
        {"submit": [run("queued")], "look": [error(429)]},
        {"submit": [run("completed")], "texts": [error(429)]},
    ],
    ids=["look", "texts"],
)
async def test_a_limit_of_requests_after_the_results_were_taken_is_no_harmless_one(replies):
    server = ClassicStandIn(begin=[run("requires_action", **wants("call_1"))], **replies)
    async with backend_at(server) as backend:
        first = await backend.ask("thread_1", REQUEST, ASKED, run="", on_text=None)
        results = (ToolMessage("call_1", "12:00"),)
        with pytest.raises(ModelUnavailableError) as raised:
            await backend.ask("thread_1", REQUEST, results, run=first.opaque, on_text=None)
    assert raised.value.status is None


async def test_a_limit_of_requests_before_the_results_were_taken_is_a_harmless_one():
    server = ClassicStandIn(begin=[run("requires_action", **wants("call_1"))], submit=[error(429)])
    async with backend_at(server) as backend:
        first = await backend.ask("thread_1", REQUEST, ASKED, run="", on_text=None)
        results = (ToolMessage("call_1", "12:00"),)
        with pytest.raises(ModelUnavailableError) as raised:
            await backend.ask("thread_1", REQUEST, results, run=first.opaque, on_text=None)
    assert raised.value.status == 429


async def test_an_active_run_makes_room():
    active = error(400, message="Can't add messages to thread_1 while a run run_0 is active.")
    server = ClassicStandIn(
        add=[active, json_of({"id": "msg_1"})],
        list=[
            json_of({"data": [{"id": "run_0", "status": "requires_action"}, {"id": "r", "status": "failed"}]})
        ],
        cancel=[run("cancelling")],
        look=[run("cancelled")],
        begin=[run("completed")],
        texts=[said("Hi")],
    )
    assert (await asked(server)).text == "Hi"
    assert server.kinds() == ["add", "list", "cancel", "look", "add", "begin", "texts"]


@pytest.mark.parametrize("on_text", [None, lambda _text: None], ids=["whole", "streamed"])
async def test_an_active_run_makes_room_for_another(on_text):
    active = error(400, message="Thread thread_1 already has an active run run_0.")
    server = ClassicStandIn(
        list=[json_of({"data": [{"id": "run_0", "status": "in_progress"}]})],
        cancel=[run("cancelled")],
        begin=[active, run("completed")],
        texts=[said("Hi")],
    )
    assert (await asked(server, on_text=on_text)).text == "Hi"
    assert server.kinds() == ["add", "begin", "list", "cancel", "begin", "texts"]


async def test_the_last_answer_is_given_by_a_run_without_tools():
    server = ClassicStandIn(
        begin=[run("requires_action", **wants("call_1")), run("completed")],
        submit=[run("requires_action", **wants("call_2"))],
        cancel=[run("cancelled")],
        texts=[said("Enough")],
    )
    async with backend_at(server) as backend:
        first = await backend.ask("thread_1", REQUEST, ASKED, run="", on_text=None)
        assert [call.id for call in first.tool_calls] == ["call_1"]
        last = replace(REQUEST, tool_choice="none")
        results = (ToolMessage("call_1", "12:00"),)
        answer = await backend.ask("thread_1", last, results, run=first.opaque, on_text=None)
    assert answer.text == "Enough"
    assert server.requests[2] == ("submit", {"tool_outputs": [{"tool_call_id": "call_1", "output": "12:00"}]})
    assert server.kinds() == ["add", "begin", "submit", "cancel", "begin", "texts"]
    assert server.requests[4][1]["tool_choice"] == "none"


async def test_calls_made_elsewhere_are_told_as_text():
    server = ClassicStandIn(begin=[run("completed")], texts=[said("Noon")])
    made = AssistantMessage("", (ToolCall("call_9", "now", "{}"),))
    async with backend_at(server) as backend:
        new = (*ASKED, made, ToolMessage("call_9", "12:00"))
        await backend.ask("thread_1", REQUEST, new, run='{"model":"other"}', on_text=None)
    added = [body for kind, body in server.requests if kind == "add"]
    assert [message["role"] for message in added] == ["user", "assistant", "assistant"]
    assert "now" in added[1]["content"]
    assert "12:00" in added[2]["content"]


async def test_a_stream_grows_and_ends():
    def delta(text: str) -> tuple[str, Any]:
        return "thread.message.delta", {"delta": {"content": [{"type": "text", "text": {"value": text}}]}}

    told: list[str] = []
    ended = ("thread.run.completed", {"id": "run_1", "status": "completed"})
    step = ("thread.run.step.completed", {"id": "step_1", "status": "completed"})
    server = ClassicStandIn(begin=[events(delta("He"), delta("llo"), step, ended)], texts=[said("Hello")])
    assert (await asked(server, on_text=told.append)).text == "Hello"
    assert told == ["He", "Hello", "Hello"]


@pytest.mark.parametrize(
    ("told", "error_type"),
    [
        ((("thread.run.queued", {"id": "run_1", "status": "queued"}),), CutAnswerError),
        ((("error", {"message": "boom", "code": "server_error"}),), ModelUnavailableError),
        ((("thread.run.expired", {"id": "run_1", "status": "expired"}),), ModelUnavailableError),
    ],
)
async def test_a_stream_without_an_answer(told, error_type):
    with pytest.raises(error_type):
        await asked(ClassicStandIn(begin=[events(*told)], texts=[said("")]), on_text=lambda _text: None)


async def test_an_error_in_the_stream_that_is_not_json():
    broken = Reply(b"event: error\ndata: upstream gone\n\n", headers={"Content-Type": "text/event-stream"})
    with pytest.raises(ModelUnavailableError, match="upstream gone"):
        await asked(ClassicStandIn(begin=[broken]), on_text=lambda _text: None)


async def test_a_cancelled_message_waits_for_no_run():
    server = ClassicStandIn(begin=[run("queued")], look=[run("in_progress")])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await asked(server)


@pytest.mark.parametrize(
    "call",
    [
        {"id": 0, "function": {"name": "now", "arguments": {"a": 1}}},
        {"id": None, "function": {"name": "now", "arguments": '{"a": 1}'}},
        {"id": "c", "name": "now", "arguments": '{}{"a": 1}'},
    ],
    ids=str,
)
async def test_odd_calls_of_a_run_are_read(call):
    wanted = {"required_action": {"submit_tool_outputs": {"tool_calls": [None, call]}}}
    answer = await asked(ClassicStandIn(begin=[run("requires_action", **wanted)]))
    (made,) = answer.tool_calls
    assert (made.name, json.loads(made.arguments)) == ("now", {"a": 1})
    assert made.id


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": {"value": "Hi"}}], "Hi"),
        ([{"type": "text", "text": "Hi"}], "Hi"),
        ("Hi", "Hi"),
        ([None, {"type": "image_file"}, {"text": {"value": "Hm\n</think>\nHi \ud83d"}}], "Hi \ufffd"),
    ],
    ids=ascii,
)
async def test_odd_messages_of_a_run_are_read(content, text):
    texts = Reply(json.dumps({"data": [None, {"role": "assistant", "content": content}]}).encode())
    usage = {"prompt_tokens": 7, "completion_tokens": -1}
    answer = await asked(ClassicStandIn(begin=[run("completed", usage=usage)], texts=[texts]))
    assert (answer.text, answer.usage) == (text, Usage(7, 0))


async def test_the_text_of_a_run_without_an_end():
    with pytest.raises(AnswerTooLargeError):
        await asked(ClassicStandIn(begin=[run("completed")], texts=[said("x" * 2**21)]))


async def test_odd_events_of_a_run_are_read():
    pieces = [
        ("thread.message.delta", {"delta": {"content": [{"type": "text", "text": {"value": piece}}]}})
        for piece in ("<think>Hm", "</thi", "nk>He", "llo")
    ]
    odd = [
        ("thread.message.delta", None),
        ("thread.run.queued", None),
        ("thread.message.delta", {"delta": None}),
    ]
    ended = ("thread.run.completed", {"id": 5, "status": "completed"})
    told: list[str] = []
    server = ClassicStandIn(begin=[events(*odd, *pieces, ended)], texts=[said("Hello")])
    assert (await asked(server, on_text=told.append)).text == "Hello"
    assert told == ["He", "Hello", "Hello"]


@pytest.mark.parametrize(
    ("begun", "kind"),
    [
        (json_of({"error": {"message": "Overloaded", "code": 503}}), ModelUnavailableError),
        (json_of({"error": {"message": "no credits", "code": 402}}), NoCreditError),
        (run("requires_action", **wants(*map(str, range(200)))), AnswerTooLargeError),
        (
            events(*[("thread.message.delta", {"delta": {"content": "x" * 100_000}})] * 20),
            AnswerTooLargeError,
        ),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_runs_that_are_none(begun, kind):
    with pytest.raises(kind) as raised:
        await asked(ClassicStandIn(begin=[begun]), on_text=lambda _text: None)
    assert type(raised.value) is kind
