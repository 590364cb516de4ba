from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    CutAnswerError,
    KeyRefusedError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
    UnknownModelError,
)
from assistant.src.core.model import (
    AssistantMessage,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.tests.standin import Reply, StandIn, completion, error

REQUEST = ModelRequest(models=("small-1",), instructions="Be brief.", messages=[UserMessage("Hi")])
TOOL = ToolSpec("t", "does it", {"type": "object", "properties": {}})


@asynccontextmanager
async def backend_of(server: StandIn, *, limit: float = 30.0) -> AsyncIterator[ChatCompletionsBackend]:
    provider = Provider(
        "p", base_url=server.url, api_key="sk-test", timeouts=Timeouts(30.0, 30.0, 30.0, whole=limit)
    )
    async with aclosing(provider):
        yield ChatCompletionsBackend(provider)


async def ask(*replies: Reply, request: ModelRequest = REQUEST, limit: float = 30.0):
    async with StandIn(*replies) as server, backend_of(server, limit=limit) as backend:
        return await backend.complete(request), server


async def test_an_answer_with_its_usage():
    answer, server = await ask(completion("Hello"))
    assert (answer.text, answer.tool_calls, answer.model) == ("Hello", (), "p/small-1")
    assert answer.usage == Usage(12, 3, 8)
    assert server.requests == [
        {
            "model": "small-1",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer sk-test"
    assert server.headers[0]["content-type"] == "application/json"


async def test_a_conversation_with_tools_as_the_protocol_wants_it():
    request = ModelRequest(
        models=("m",),
        instructions="x",
        messages=[
            UserMessage("Привет"),
            AssistantMessage("", (ToolCall("c1", "t", '{"a":1}'),)),
            ToolMessage("c1", "42"),
        ],
        tools=[TOOL],
        tool_choice="none",
        temperature=0.5,
        max_output_tokens=100,
    )
    _, server = await ask(completion(), request=request)
    sent = server.requests[0]
    assert sent["messages"][1:] == [
        {"role": "user", "content": "Привет"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {"name": "t", "description": "does it", "parameters": dict(TOOL.schema)},
        }
    ]
    assert (sent["tool_choice"], sent["temperature"], sent["max_tokens"]) == ("none", 0.5, 100)
    assert "reasoning_effort" not in sent


@pytest.mark.parametrize(("tools", "sent"), [((TOOL,), True), ((), False)])
async def test_luna_gets_tools_only_without_reasoning(tools, sent):
    request = ModelRequest(models=("gpt-6-luna",), instructions="x", messages=[], tools=tools)
    _, server = await ask(completion(), request=request)
    assert ("reasoning_effort" in server.requests[0]) is sent
    assert server.requests[0].get("reasoning_effort", "none") == "none"


async def test_tool_calls_come_back_each_with_an_id_of_its_own():
    def call(call_id, arguments):
        return {"id": call_id, "type": "function", "function": {"name": "t", "arguments": arguments}}

    wire = [call("c", "{}"), call("c", '{"a": 1}'), call(None, {"a": 2}), call("", None)]
    answer, _ = await ask(completion(None, tool_calls=wire))
    assert [c.arguments for c in answer.tool_calls] == ["{}", '{"a": 1}', '{"a": 2}', "{}"]
    assert len({c.id for c in answer.tool_calls}) == 4


async def test_content_may_come_in_parts():
    answer, _ = await ask(
        Reply(
            b'{"choices":[{"message":{"content":[{"type":"thinking"},{"type":"text","text":"He"},'
            b'{"type":"text","text":"llo"}]}}]}'
        )
    )
    assert answer.text == "Hello"
    assert answer.usage == Usage()


async def test_a_refusal_of_the_model_is_its_answer():
    answer, _ = await ask(completion(None, refusal="I would rather not."))
    assert answer.text == "I would rather not."


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b""),
        Reply(b"<html><body>Bad gateway</body></html>", headers={"Content-Type": "text/html"}),
        Reply(b"null"),
        Reply(b'{"choices": []}'),
        Reply(b'{"error": null}'),
        Reply(b'{"choices": [{"message": null}]}'),
        Reply(b"\xff\xfe"),
        completion(""),
        completion("  \n"),
        completion(None),
    ],
    ids=str,
)
async def test_rubbish_is_no_answer(reply):
    with pytest.raises(BadAnswerError):
        await ask(reply)


async def test_a_body_that_is_cut():
    with pytest.raises(CutAnswerError):
        await ask(Reply(b'{"choices": ['))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(400), ModelRefusedError),
        (error(401, message="Incorrect API key provided: sk-abc"), KeyRefusedError),
        (error(403), KeyRefusedError),
        (error(404, code="model_not_found"), UnknownModelError),
        (error(429, code="insufficient_quota"), NoCreditError),
        (error(400, code="context_length_exceeded"), ContextOverflowError),
        (error(400, message="This model's maximum context length is 8192 tokens."), ContextOverflowError),
        (error(408), ModelUnavailableError),
        (error(409), ModelUnavailableError),
        (error(429, code="rate_limit_exceeded"), ModelUnavailableError),
        (error(500), ModelUnavailableError),
        (error(529), ModelUnavailableError),
        (Reply(b"<html>502</html>", status=502), ModelUnavailableError),
        (Reply(b"[]", status=503), ModelUnavailableError),
        (Reply(b"\xff", status=500), ModelUnavailableError),
    ],
    ids=lambda value: str(value) if isinstance(value, Reply) else value.__name__,
)
async def test_every_refusal_has_its_meaning(reply, kind):
    with pytest.raises(kind) as raised:
        await ask(reply)
    assert type(raised.value) is kind


async def test_the_wait_a_provider_asks_for_is_handed_on():
    with pytest.raises(ModelUnavailableError) as raised:
        await ask(error(429, Retry_After="7"))
    assert raised.value.retry_after == 7.0


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(drip=True, length=10_000)], ids=["hang", "drip"])
async def test_a_server_that_never_finishes_is_left(reply):
    with pytest.raises(ModelUnavailableError):
        await ask(reply, limit=0.2)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_connection_that_breaks_in_the_middle(status):
    with pytest.raises(ModelUnavailableError):
        await ask(Reply(b'{"choices"', status=status, length=500))


async def test_nobody_listens():
    async with StandIn(completion()) as server:
        url = server.url
    provider = Provider("p", base_url=url, timeouts=Timeouts(1, 2, 2, 2))
    async with aclosing(provider):
        with pytest.raises(ModelUnavailableError):
            await ChatCompletionsBackend(provider).complete(REQUEST)


async def test_one_attempt_is_one_request():
    async with StandIn(error(500)) as server, backend_of(server) as backend:
        with pytest.raises(ModelUnavailableError):
            await backend.complete(REQUEST)
        assert len(server.requests) == 1
