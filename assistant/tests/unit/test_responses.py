"""The Responses protocol against a server that keeps to it, and against servers that do not."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    CutAnswerError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from assistant.src.core.model import (
    AssistantMessage,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.responses.backend import ResponsesBackend
from assistant.src.core.responses.request import input_items
from assistant.tests.openai_standin import OpenAIStandIn, Says, calls, stream_of
from assistant.tests.standin import Reply, error, events

OPEN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FREE = {"type": "object", "additionalProperties": {"type": "string"}}
REQUEST = ModelRequest(
    models=("gpt-6-luna",),
    instructions="Be brief.",
    messages=(UserMessage("Hi"),),
    tools=(ToolSpec("weather", "tells the weather", OPEN), ToolSpec("note", "notes", FREE)),
    temperature=0.5,
    max_output_tokens=100,
)
TIMEOUTS = Timeouts(connect=30, first_token=30, stall=0.3, whole=30)


@asynccontextmanager
async def backend_at(server: OpenAIStandIn) -> AsyncIterator[ResponsesBackend]:
    async with server, aclosing(Provider("openai", base_url=server.url, timeouts=TIMEOUTS)) as provider:
        yield ResponsesBackend(provider)


async def answer_to(*steps: Any, on_text: Any = None, **changes: Any) -> Any:
    async with backend_at(OpenAIStandIn(*steps)) as backend:
        return await backend.complete(replace(REQUEST, **changes), on_text=on_text)


async def test_nothing_is_kept_at_the_provider_and_tools_are_flat():
    server = OpenAIStandIn(Says("Hello"))
    async with backend_at(server) as backend:
        answer = await backend.complete(replace(REQUEST, models=("gpt-4.1",)))
    assert (answer.text, answer.model) == ("Hello", "openai/gpt-4.1")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cached_tokens) == (12, 3, 8)
    (body,) = server.asked
    assert body["store"] is False
    assert body["instructions"] == "Be brief."
    assert body["input"] == [{"type": "message", "role": "user", "content": "Hi"}]
    assert (body["tool_choice"], body["temperature"], body["max_output_tokens"]) == ("auto", 0.5, 100)
    weather, note = body["tools"]
    assert (weather["name"], weather["strict"]) == ("weather", True)
    assert weather["parameters"]["additionalProperties"] is False
    assert (note["strict"], note["parameters"]) == (False, FREE)


async def test_a_model_that_reasons_gets_no_temperature():
    server = OpenAIStandIn(Says("Hello"))
    async with backend_at(server) as backend:
        await backend.complete(REQUEST)
    assert "temperature" not in server.asked[0]


async def test_no_answer_is_allowed_fewer_tokens_than_the_protocol_knows():
    server = OpenAIStandIn(Says("Hello"))
    async with backend_at(server) as backend:
        await backend.complete(replace(REQUEST, max_output_tokens=1))
    assert server.asked[0]["max_output_tokens"] == 16


async def test_what_the_model_thought_comes_back_in_the_next_round():
    server = OpenAIStandIn(calls(("weather", '{"city": "Rome"'), thought="secret"), Says("Sunny"))
    async with backend_at(server) as backend:
        first = await backend.complete(REQUEST)
        (call,) = first.tool_calls
        assert (call.name, call.arguments) == ("weather", '{"city": "Rome"')
        mended = replace(call, arguments="{}")
        messages = (
            *REQUEST.messages,
            AssistantMessage(first.text, (mended,), first.opaque),
            ToolMessage(call.id, "21 °C"),
        )
        await backend.complete(replace(REQUEST, messages=messages))
        await backend.complete(replace(REQUEST, messages=messages, models=("other",)))
    assert server.asked[0]["include"] == ["reasoning.encrypted_content"]
    _, reasoning, made, result = server.asked[1]["input"]
    assert (reasoning["type"], reasoning["encrypted_content"]) == ("reasoning", "secret")
    assert (made["call_id"], made["arguments"]) == (call.id, "{}")
    assert result == {"type": "function_call_output", "call_id": call.id, "output": "21 °C"}
    assert [item["type"] for item in server.asked[2]["input"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]


async def test_a_model_that_does_not_reason_is_asked_without():
    refused = error(400, message="Encrypted content is not supported with this model.")
    server = OpenAIStandIn(refused, Says("Hello"), Says("Again"))
    async with backend_at(server) as backend:
        assert (await backend.complete(REQUEST)).text == "Hello"
        assert (await backend.complete(REQUEST)).text == "Again"
    assert ["include" in body for body in server.asked] == [True, False, False]


async def test_the_text_is_told_while_it_grows():
    told: list[str] = []
    answer = await answer_to(Says("Hello there"), on_text=told.append)
    assert told == ["Hell", "Hello th", "Hello there"]
    assert answer.text == "Hello there"


async def test_calls_in_a_stream():
    answer = await answer_to(calls(("weather", {"city": "Rome"})), on_text=lambda _text: None)
    assert [call.name for call in answer.tool_calls] == ["weather"]


async def test_a_last_event_without_output_is_completed_by_those_before():
    told = (
        {"type": "response.output_item.done", "item": message_item("Hi")},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    )
    assert (await answer_to(events(*told, done=False), on_text=lambda _text: None)).text == "Hi"


def message_item(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_stream_without_its_last_event_is_no_answer(status):
    response = {"status": status, "output": [message_item("Hi")]}
    with pytest.raises(CutAnswerError, match="stream ended"):
        await answer_to(stream_of(response, "Hi", last=False), on_text=lambda _text: None)


async def test_a_disconnect_in_mid_stream_is_worth_another_try():
    whole = stream_of({"status": "completed", "output": [message_item("Hi")]}, "Hi", last=False)
    with pytest.raises(ModelUnavailableError):
        await answer_to(replace(whole, length=len(whole.body) + 10), on_text=lambda _text: None)


async def test_a_hang_in_mid_stream_ends():
    whole = stream_of({"status": "completed", "output": [message_item("Hi")]}, "Hi", last=False)
    with pytest.raises(ModelTimeoutError):
        await answer_to(replace(whole, length=len(whole.body) + 10, stall=True), on_text=lambda _text: None)


async def test_plain_json_in_answer_to_a_stream_request():
    told: list[str] = []
    whole = Reply(b'{"status":"completed","output":[{"type":"message","content":[{"text":"Hi"}]}]}')
    assert (await answer_to(whole, on_text=told.append)).text == "Hi"
    assert told == ["Hi"]


@pytest.mark.parametrize(
    ("event", "error_type"),
    [
        ('{"type":"error","code":"server_error","message":"boom"}', ModelUnavailableError),
        ('{"type":"error","code":"context_length_exceeded","message":"x"}', ContextOverflowError),
        ('{"type":"error","error":{"code":"insufficient_quota","message":"x"}}', ModelRefusedError),
        ("{", CutAnswerError),
        ("{x", BadAnswerError),
    ],
)
async def test_an_error_in_the_stream(event, error_type):
    reply = Reply(f"data: {event}\n\n".encode(), headers={"Content-Type": "text/event-stream"})
    with pytest.raises(error_type):
        await answer_to(reply, on_text=lambda _text: None)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("step", "error_type"),
    [
        (Says(failure=("server_error", "try again")), ModelUnavailableError),
        (Says(failure=("rate_limit_exceeded", "slow down")), ModelUnavailableError),
        (Says(failure=("invalid_prompt", "no")), ModelRefusedError),
        (Says(failure=("context_length_exceeded", "too long")), ContextOverflowError),
        (Says(status="incomplete", reason="max_output_tokens"), ModelRefusedError),
        (Says(calls=(("weather", "{"),), status="incomplete", reason="max_output_tokens"), BadAnswerError),
        (Says(), BadAnswerError),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
async def test_a_response_that_is_no_answer(step, error_type, streamed):
    with pytest.raises(error_type):
        await answer_to(step, on_text=(lambda _text: None) if streamed else None)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"status":"done"}', b'{"status":"queued"}'])
async def test_a_body_that_is_no_response(body):
    with pytest.raises(BadAnswerError):
        await answer_to(Reply(body))


async def test_a_text_that_was_cut_is_an_answer():
    answer = await answer_to(Says("Half a sent", status="incomplete", reason="max_output_tokens"))
    assert answer.text == "Half a sent"


def test_a_call_id_that_comes_twice_gets_another():
    def round_of(text: str) -> list[Any]:
        call = ToolCall("call_1", "now", "{}")
        return [
            UserMessage("?"),
            AssistantMessage("", (call,)),
            ToolMessage("call_1", text),
            AssistantMessage("!"),
        ]

    items = input_items([*round_of("one"), *round_of("two")])
    made = [item["call_id"] for item in items if item["type"] == "function_call"]
    results = {item["call_id"]: item["output"] for item in items if item["type"] == "function_call_output"}
    assert len(set(made)) == 2
    assert [results[call_id] for call_id in made] == ["one", "two"]


DELTA = {"type": "response.output_text.delta", "delta": "Hello"}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}


@pytest.mark.parametrize(
    "ended",
    [
        {"response": {"status": "completed", "output": []}},
        {"response": {"status": "completed", "output": None}},
        {"response": None},
        {},
        {"response": {"status": "in_progress", "output": [MESSAGE]}},
        {"response": {"output": [{"content": "Hello"}]}},
    ],
)
async def test_a_last_event_without_the_answer_costs_nothing_where_the_pieces_hold_it(ended):
    server = OpenAIStandIn(events(DELTA, {"type": "response.completed", **ended}))
    async with backend_at(server) as backend:
        assert (await backend.complete(REQUEST, on_text=lambda _text: None)).text == "Hello"


async def test_a_failure_without_a_reason_may_pass():
    with pytest.raises(ModelUnavailableError):
        await answer_to(events({"type": "response.failed", "response": None}), on_text=lambda _text: None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_stands_in_the_text_is_one(streamed: bool):
    shown: list[str] = []
    text = 'Let me see.\n<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>'
    answer = await answer_to(Says(text), on_text=shown.append if streamed else None)
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("weather", '{"city": "Rome"}')]
    assert answer.text == "Let me see."
    assert answer.opaque == ""
    assert not any("tool_call" in text for text in shown)
