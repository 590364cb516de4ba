"""A field that a server refuses is left out, from then on: the person gets the answer."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import FieldRefusedError, ModelRefusedError
from assistant.src.core.model import ModelRequest, ToolSpec, UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.refusals import classify_refusal
from assistant.src.core.responses.backend import ResponsesBackend
from assistant.tests.openai_standin import OpenAIStandIn, Says
from assistant.tests.standin import Reply, Request, StandIn, chunk, completion, error, events

Body = dict[str, Any]
ASKED = ModelRequest(
    models=("m",),
    instructions="Be brief.",
    messages=[UserMessage("Hi")],
    tools=(ToolSpec("now", "tells the time", {"type": "object", "properties": {}}),),
    tool_choice="none",
    temperature=0.5,
    max_output_tokens=100,
)
SYSTEM = {"role": "system", "content": "Be brief."}


def refusing(is_refused: Callable[[Body], bool], message: str, *, status: int = 400) -> StandIn:
    def answer(body: Body) -> Reply:
        if is_refused(body):
            return error(status, message=message)
        return events(chunk("Hello"), chunk(finish="stop")) if body.get("stream") else completion("Hello")

    return StandIn(answer)


async def said_by(server: StandIn, *, times: int = 1, streamed: bool = False) -> str:
    provider = Provider("openai", base_url=server.url, timeouts=Timeouts(connect=10, whole=30))
    backend = ChatCompletionsBackend(provider)
    shown: list[str] = []
    try:
        for _ in range(times):
            answer = await backend.complete(ASKED, on_text=shown.append if streamed else None)
            assert not streamed or shown[-1] == answer.text
    finally:
        await provider.aclose()
    return answer.text


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("temperature", "Unsupported value: 'temperature' does not support 0.5 with this model."),
        ("temperature", "`temperature` is deprecated for this model."),
        ("tool_choice", "Unrecognized request argument supplied: tool_choice"),
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("stream", "Your organization must be verified to stream this model."),
        ("stream", "Streaming is not supported"),
    ],
)
async def test_a_refused_field_is_left_out_of_this_request_and_the_next(field: str, message: str):
    async with refusing(lambda body: field in body, message) as server:
        with capture_logs() as logs:
            assert await said_by(server, times=2, streamed=True) == "Hello"
        assert [field in body for body in server.requests] == [True, False, False]
    [line] = [line for line in logs if line["event"] == "fields_left_out"]
    assert line["fields"] == [field]
    assert line["log_level"] == "warning"


async def test_validators_name_the_field_by_its_place():
    detail = b'{"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs are not permitted"}]}'
    server = StandIn(lambda body: Reply(detail, status=422) if "temperature" in body else completion("Hello"))
    async with server:
        assert await said_by(server) == "Hello"
        assert len(server.requests) == 2


async def test_the_limit_goes_under_its_other_name_and_only_then_not_at_all():
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    async with refusing(lambda body: "max_tokens" in body, message) as server:
        assert await said_by(server) == "Hello"
        assert server.requests[-1]["max_completion_tokens"] == 100
    too_large = "max_tokens is too large: 100. This model supports at most 50"
    limited = refusing(lambda body: bool({"max_tokens", "max_completion_tokens"} & body.keys()), too_large)
    async with limited as server:
        assert await said_by(server) == "Hello"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("System role not supported", 400),
        ("Conversation roles must alternate user/assistant/user/assistant/...", 500),
        ("Unsupported value: 'messages[0].role' does not support 'system' with this model.", 400),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", 400),
        ("Only user and assistant roles are supported!", 400),
    ],
)
async def test_instructions_go_into_the_first_message(message: str, status: int):
    async with refusing(lambda body: SYSTEM in body["messages"], message, status=status) as server:
        assert await said_by(server, times=2) == "Hello"
        told = [{"role": "user", "content": "Be brief.\n\nHi"}]
        assert [body["messages"] for body in server.requests[1:]] == [told, told]


async def test_several_refused_fields_are_left_out_one_after_another():
    def answer(body: Body) -> Reply:
        field = next((name for name in ("temperature", "tool_choice") if name in body), None)
        return error(400, message=f"Unknown field: {field}") if field else completion("Hello")

    async with StandIn(answer) as server:
        assert await said_by(server, times=2) == "Hello"
        assert len(server.requests) == 4


async def test_a_field_that_was_not_sent_or_is_refused_further_is_the_end():
    async with refusing(lambda _body: True, "Invalid 'temperature'") as server:
        with pytest.raises(ModelRefusedError, match="temperature"):
            await said_by(server)
        assert len(server.requests) == 2


async def test_responses_leave_out_what_is_refused_too():
    class Refusing(OpenAIStandIn):
        def respond(self, request: Request) -> Reply:
            if b'"temperature"' in request.body:
                return error(400, message="Unsupported parameter: 'temperature' is not supported.")
            return super().respond(request)

    async with Refusing(Says("Hello"), Says("Hello")) as server:
        provider = Provider("openai", base_url=server.url, timeouts=Timeouts(connect=10, whole=30))
        try:
            backend = ResponsesBackend(provider)
            assert (await backend.complete(ASKED)).text == "Hello"
            assert (await backend.complete(ASKED, on_text=lambda _text: None)).text == "Hello"
        finally:
            await provider.aclose()


@pytest.mark.parametrize(
    "message", ["stream error: upstream closed it", "the temperature outside", "system overload"]
)
def test_a_failure_of_the_server_is_no_refusal_of_a_field(message: str):
    assert not isinstance(classify_refusal(message, status=500), FieldRefusedError)


def test_a_long_refusal_is_read_in_time_that_grows_with_it():
    started = time.process_time()
    for words in ("system role ", "stream ", "unsupported ", "role "):
        classify_refusal(words * 6000, status=400)
    assert time.process_time() - started < 2.0
