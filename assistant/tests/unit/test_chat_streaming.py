"""Streamed answers of the Chat Completions protocol, as several makes of servers send them."""

from contextlib import aclosing
from typing import Any

import pytest

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import (
    BadAnswerError,
    ContentRefusedError,
    ContextOverflowError,
    CutAnswerError,
    KeyRefusedError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
)
from assistant.src.core.model import ModelAnswer, ModelRequest, ToolCall, Usage, UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.quirks import Quirks
from assistant.tests.standin import Reply, StandIn, chunk, completion, error, events

REQUEST = ModelRequest(models=("small-1",), instructions="Be brief.", messages=[UserMessage("Hi")])
USAGE = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


async def ask(
    reply: Reply, told: list[str] | None = None, *, quirks: Quirks | None = None, limit: float = 30.0
) -> tuple[ModelAnswer, dict[str, Any]]:
    """The answer, and the request for it; `told` collects what a reader would have seen."""
    async with StandIn(reply) as server:
        provider = Provider("p", base_url=server.url, timeouts=Timeouts(30.0, 30.0, stall=limit, whole=30.0))
        async with aclosing(provider):
            backend = ChatCompletionsBackend(provider, quirks)
            answer = await backend.complete(REQUEST, on_text=(told if told is not None else []).append)
            return answer, server.requests[0]


def call(index=None, call_id=None, name=None, arguments=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    place = {} if index is None else {"index": index}
    return place | ({} if call_id is None else {"id": call_id}) | {"type": "function", "function": function}


async def test_text_is_told_as_it_grows():
    told: list[str] = []
    answer, request = await ask(
        events(chunk(role="assistant"), chunk("He"), chunk("llo"), chunk(finish="stop"), USAGE), told
    )
    assert told == ["He", "Hello"]
    assert (answer.text, answer.usage, answer.model) == ("Hello", Usage(12, 3), "p/small-1")
    assert (request["stream"], request["stream_options"]) == (True, {"include_usage": True})


async def test_a_provider_that_knows_no_stream_options_gets_none():
    _, request = await ask(events(chunk("Hi", finish="stop")), quirks=Quirks(stream_options=False))
    assert "stream_options" not in request


async def test_without_a_reader_nothing_is_streamed():
    async with StandIn(completion()) as server:
        async with aclosing(Provider("p", base_url=server.url, timeouts=Timeouts())) as provider:
            await ChatCompletionsBackend(provider).complete(REQUEST)
        assert "stream" not in server.requests[0]


async def test_a_server_that_does_not_stream_is_understood():
    told: list[str] = []
    answer, _ = await ask(completion("Hello"), told)
    assert (answer.text, told, answer.usage) == ("Hello", ["Hello"], Usage(12, 3, 8))


async def test_a_refusal_of_the_model_is_its_answer():
    answer, _ = await ask(events(chunk(refusal="I would"), chunk(refusal=" not."), chunk(finish="stop")))
    assert answer.text == "I would not."


TWO = [("t", '{"a": 1}'), ("u", '{"b": 2}')]


@pytest.mark.parametrize(
    "pieces",
    [
        [
            [call(0, "c1", "t", "")],
            [call(0, None, None, '{"a"')],
            [call(0, None, None, ": 1}")],
            [call(1, "c2", "u", '{"b"')],
            [call(1, None, None, ": 2}")],
        ],
        [[call(0, "c1", "t", '{"a": 1}'), call(1, "c2", "u", '{"b": 2}')]],
        [[call(0, "c1", "t", '{"a": 1}')], [call(0, "c2", "u", '{"b": 2}')]],
        [[call(None, "c1", "t", '{"a": 1}')], [call(None, "c2", "u", '{"b": 2}')]],
        [[call(None, None, "t", '{"a": 1}')], [call(None, None, "u", '{"b": 2}')]],
        [[call(0, None, "t", '{"a": 1}')], [call(0, None, "u", '{"b": 2}')]],
        [[call(None, "c", "t", '{"a": 1}')], [call(None, "c", "u", '{"b": 2}')]],
        [
            [call(None, "c1", "t", '{"a"')],
            [call(None, None, None, ": 1}")],
            [call(None, "c2", "u", '{"b": 2}')],
        ],
        [[call(0, "c1", "t", '{"a"')], [call(0, "c1", "t", ": 1}")], [call(1, "c2", "u", '{"b": 2}')]],
        [
            [call(0, "c1", "t", '{"a": '), call(1, "c2", "u", '{"b": ')],
            [call(1, None, None, "2}"), call(0, None, None, "1}")],
        ],
        [[call(0, "c1", "t", {"a": 1}), call(1, "c2", "u", {"b": 2})]],
    ],
    ids=[
        *(
            "OpenAI",
            "whole calls",
            "every index 0",
            "no index",
            "neither index nor id",
            "every index 0, no id",
        ),
        *("ids that repeat", "pieces without index", "id and name in every piece", "mixed", "as objects"),
    ],
)
async def test_calls_are_put_together(pieces):
    chunks = [chunk(tool_calls=piece) for piece in pieces]
    answer, _ = await ask(events(*chunks, chunk(finish="tool_calls"), USAGE))
    assert [(made.name, made.arguments) for made in answer.tool_calls] == TWO
    assert len({made.id for made in answer.tool_calls}) == 2


async def test_a_call_without_arguments_has_none():
    answer, _ = await ask(events(chunk(tool_calls=[call(0, "c1", "t")]), chunk(finish="tool_calls")))
    assert answer.tool_calls == (ToolCall("c1", "t", "{}"),)


@pytest.mark.parametrize("arguments", ['{"a": "hal', ""])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_cut_off_at_the_limit_is_not_one_without_arguments(arguments, stream):
    wire = [call(0, "c1", "t", arguments)]
    whole = {"choices": [{"message": {"tool_calls": wire}, "finish_reason": "length"}]}
    reply = events(chunk(tool_calls=wire), chunk(finish="length")) if stream else events(whole, done=False)
    answer, _ = await ask(reply)
    assert answer.tool_calls[0].arguments == (arguments or "{")


async def test_what_a_model_thinks_aloud_is_not_told():
    told: list[str] = []
    pieces = ["<thi", "nk>Hm", "m</th", "ink>\n\nHel", "lo"]
    answer, _ = await ask(events(*map(chunk, pieces), chunk(finish="stop")), told)
    assert (answer.text, told) == ("Hello", ["Hel", "Hello"])


@pytest.mark.parametrize(
    "reply",
    [
        events(done=False),
        events(b"{broken", done=False),
        Reply(b"<html>Bad gateway</html>"),
        Reply(b""),
        events(chunk("", finish="stop")),
    ],
    ids=["empty", "no JSON", "HTML", "nothing", "no text"],
)
async def test_a_stream_that_is_no_answer(reply):
    with pytest.raises(BadAnswerError):
        await ask(reply)


@pytest.mark.parametrize(
    "reply",
    [
        events(chunk("Hel"), done=False),
        events(chunk("Hel", finish="error")),
        events(chunk("Hel"), b'{"choices": [{"del', done=False),
    ],
    ids=["between two events", "by the provider", "within an event"],
)
async def test_a_stream_that_is_cut(reply):
    with pytest.raises(CutAnswerError):
        await ask(reply)


async def test_a_stream_may_end_without_its_last_word():
    answer, _ = await ask(events(chunk("Hello"), chunk(finish="stop"), done=False))
    assert answer.text == "Hello"
    answer, _ = await ask(events(chunk("Hello")))  # no finish_reason, but [DONE]
    assert answer.text == "Hello"


@pytest.mark.parametrize("stall", [True, False], ids=["stalls", "breaks"])
async def test_a_connection_that_fails_after_the_answer_does_not_take_it(stall):
    reply = events(chunk("Hello"), chunk(finish="stop"), done=False, missing=50, stall=stall)
    answer, _ = await ask(reply, limit=0.3)
    assert (answer.text, answer.usage) == ("Hello", Usage())


@pytest.mark.parametrize("stall", [True, False], ids=["stalls", "breaks"])
async def test_a_connection_that_fails_before_the_end_does(stall):
    told: list[str] = []
    with pytest.raises(ModelUnavailableError):
        await ask(events(chunk("Hel"), done=False, missing=50, stall=stall), told, limit=0.3)
    assert told == ["Hel"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (events(chunk("Hel"), {"error": {"message": "Overloaded", "code": 502}}), ModelUnavailableError),
        (events({"error": {"message": "no credits", "code": 402}, "choices": []}), NoCreditError),
        (events({"error": {"message": "x", "code": "context_length_exceeded"}}), ContextOverflowError),
        (events({"error": "busy"}), ModelUnavailableError),
        (events(chunk("", finish="content_filter")), ContentRefusedError),
        (events(chunk("Half of it", finish="content_filter")), ContentRefusedError),
        (events(chunk("", finish="length")), ModelRefusedError),
        (error(401), KeyRefusedError),
        (error(429, code="insufficient_quota"), NoCreditError),
        (error(500), ModelUnavailableError),
    ],
    ids=lambda value: None if isinstance(value, Reply) else value.__name__,
)
async def test_failures_have_their_meaning(reply, kind):
    with pytest.raises(kind) as raised:
        await ask(reply)
    assert type(raised.value) is kind
