"""Answers of model servers that are a little wrong: read, not asked for again."""

import json
from contextlib import aclosing
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import (
    AnswerTooLargeError,
    BadAnswerError,
    CutAnswerError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
    UnknownModelError,
)
from assistant.src.core.model import ModelAnswer, ModelRequest, ToolSpec, Usage, UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.known import KNOWN
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.quirks import Quirks
from assistant.src.core.responses.backend import ResponsesBackend
from assistant.tests.openai_standin import OpenAIStandIn
from assistant.tests.standin import Reply, StandIn, chunk, completion, events

TOOLS = tuple(ToolSpec(name, "does it", {"type": "object"}) for name in ("current_time", "reminders"))
REQUEST = ModelRequest(models=("m",), instructions="x", messages=[UserMessage("Hi")], tools=TOOLS)
TIMEOUTS = Timeouts(connect=10, first_token=30, stall=30, whole=30)
ENDED = chunk(finish="stop")


async def ask(
    reply: Reply, told: list[str] | None = None, *, stream: bool = True, quirks: Quirks | None = None
) -> ModelAnswer:
    sink = (told if told is not None else []).append
    async with (
        StandIn(reply) as server,
        aclosing(Provider("p", base_url=server.url, timeouts=TIMEOUTS)) as provider,
    ):
        backend = ChatCompletionsBackend(provider, quirks)
        return await backend.complete(REQUEST, on_text=sink if stream else None)


def body(**fields: Any) -> Reply:
    return Reply(json.dumps(fields).encode())


def message(**said: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", **said}, "finish_reason": "stop"}


def call(name: Any = "reminders", arguments: Any = '{"a": 1}', **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def made(answer: ModelAnswer) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in answer.tool_calls]


CALLED = [("reminders", {"a": 1})]

COUNTS = [
    ({"prompt_tokens": 1151, "completion_tokens": -35}, Usage(1151, 0), True),
    ({"prompt_tokens": "12", "completion_tokens": 3.0}, Usage(12, 3), True),
    ({"prompt_tokens": None, "completion_tokens": None, "prompt_tokens_details": None}, Usage(), False),
    ({"prompt_tokens": 10**30, "completion_tokens": 1}, Usage(10**7, 1), True),
    ({"prompt_tokens": [1], "completion_tokens": {"a": 1}}, Usage(), True),
    ({"prompt_tokens": True, "completion_tokens": "many"}, Usage(), True),
    ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, Usage(0, 10**7), True),
    ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": -1}}, Usage(5), True),
    ({"prompt_tokens": 5, "prompt_tokens_details": "none"}, Usage(5), False),
    ("none", Usage(), False),
    ([], Usage(), False),
    (None, Usage(), False),
]


@pytest.mark.parametrize(("usage", "counted", "told"), COUNTS, ids=str)
@pytest.mark.parametrize("stream", [True, False])
async def test_counts_never_end_an_answer(usage, counted, told, stream):
    reply = (
        events(chunk("Hello", finish="stop"), {"choices": [], "usage": usage})
        if stream
        else body(choices=[message(content="Hello")], usage=usage)
    )
    with capture_logs() as logs:
        answer = await ask(reply, stream=stream)
    assert (answer.text, answer.usage) == ("Hello", counted)
    lines = [entry["model"] for entry in logs if entry["event"] == "usage_clamped"]
    assert lines == (["p/m"] if told else [])


async def test_a_count_of_thousands_of_digits_is_read():
    digits = b"9" * 5000
    reply = Reply(b'{"choices":[{"message":{"content":"Hello"}}],"usage":{"prompt_tokens":' + digits + b"}}")
    assert (await ask(reply, stream=False)).usage == Usage(10**7)


@pytest.mark.parametrize(
    "tool_calls",
    [
        [call(id=0)],
        [call(id=7.5)],
        [call(id=None)],
        [call(id="")],
        [call(id={"a": 1})],
        [call(arguments={"a": 1})],
        [call(arguments='{}{"a": 1}')],
        [call(arguments='{"a": 1}{"a": 1}')],
        [call(arguments='"{\\"a\\": 1}"')],
        [None, call(), None],
        call(),
        [{"id": "c1", "name": "reminders", "arguments": '{"a": 1}'}],
        [{"id": "c1", "function": None, "name": "reminders", "arguments": {"a": 1}}],
        [call(index="0")],
        [call(index=0.0)],
        [call(index=float("inf"))],
        [call(type=None, index=None)],
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_is_written_otherwise_runs(tool_calls, stream):
    said = {"content": None, "tool_calls": tool_calls}
    reply = events(chunk(**said), chunk(finish="tool_calls")) if stream else body(choices=[message(**said)])
    answer = await ask(reply, stream=stream)
    assert made(answer) == CALLED
    assert all(made.id for made in answer.tool_calls)


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_with_ids_that_repeat_or_are_numbers_get_ids_of_their_own(stream):
    said: dict[str, Any] = {"tool_calls": [call(id=0, index=0), call(id=0, index=1), call(id="0", index=2)]}
    reply = events(chunk(**said), ENDED) if stream else body(choices=[message(**said)])
    assert len({call.id for call in (await ask(reply, stream=stream)).tool_calls}) == 3


@pytest.mark.parametrize("arguments", ["", None, "{}", "[]", [], {}, "null", " "], ids=repr)
async def test_no_arguments_in_whatever_form(arguments):
    assert made(await ask(body(choices=[message(tool_calls=[call(arguments=arguments)])]))) == [
        ("reminders", {})
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_in_the_form_before_there_were_tools(stream):
    said = {"content": None, "function_call": {"name": "reminders", "arguments": '{"a": 1}'}}
    reply = (
        events(
            chunk(function_call={"name": "reminders", "arguments": ""}),
            chunk(function_call={"arguments": '{"a": 1}'}),
            chunk(finish="function_call"),
        )
        if stream
        else body(choices=[message(**said)])
    )
    assert made(await ask(reply, stream=stream)) == CALLED


def piece(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return chunk(tool_calls=[{"index": index, "function": function, **fields}])


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(id="c1", name="remin"), piece(name="ders"), piece(arguments='{"a": 1}')],
        [piece(id="c1", name="remin", arguments=""), piece(id="c1", name="ders", arguments='{"a": 1}')],
        [piece(None, name="remin"), piece(None, name="ders"), piece(None, arguments='{"a": 1}')],
        [piece(id="c1", name="remin"), piece(id="c1", name="reminders"), piece(arguments='{"a": 1}')],
        [piece(id="c1", name="reminders", arguments="{}"), piece(arguments='{"a"'), piece(arguments=": 1}")],
        [piece(id="c1", name="reminders", arguments={}), piece(arguments='{"a": 1}')],
        [piece(id="c1", name="reminders", arguments="null"), piece(arguments='{"a": 1}')],
        [piece(id="c1", name="reminders"), piece(arguments={"a": 1})],
        [
            piece(id="c1", name="reminders", arguments='{"a"'),
            piece(arguments=": 1}"),
            piece(arguments='{"a": 1}'),
        ],
        [piece(name="reminders", arguments='{"a": 1}'), piece(id="c1")],
        [piece(id="c1", name="reminders", arguments=None), piece(id=None, name=None, arguments='{"a": 1}')],
        [piece(id="c1", name="reminders"), piece(id="", name="", arguments='{"a": 1}')],
        [piece(id=1, name="reminders"), piece(id=1, arguments='{"a": 1}')],
    ],
    ids=str,
)
async def test_calls_in_odd_pieces(pieces):
    assert made(await ask(events(*pieces, chunk(finish="tool_calls")))) == CALLED


async def test_two_calls_without_arguments_are_two():
    pieces = [piece(id=None, name=name, arguments="") for name in ("current_time", "reminders")]
    assert made(await ask(events(*pieces, ENDED))) == [("current_time", {}), ("reminders", {})]


PROMISE = {"content": "I will set it up now."}


@pytest.mark.parametrize("numbers", [(0, 1), (0, 0), (None, None)], ids=str)
async def test_a_call_in_another_choice_than_the_text_runs(numbers):
    choices = [message(**PROMISE), message(tool_calls=[call()])]
    choices = [choice | {"index": number} for choice, number in zip(choices, numbers, strict=True)]
    answer = await ask(body(choices=choices), stream=False)
    assert (made(answer), answer.text) == (CALLED, "I will set it up now.")


@pytest.mark.parametrize("early", [True, False])
async def test_a_call_in_another_choice_of_a_stream_runs(early):
    """Even where the first choice has ended before."""
    first = {"choices": [{"index": 0, "delta": PROMISE, "finish_reason": "stop" if early else None}]}
    second = {"choices": [{"index": 1, "delta": {"tool_calls": [call(index=0)]}}]}
    ends = {"choices": [{"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "tool_calls"}]}
    assert made(await ask(events(first, second, ends, done=False))) == CALLED


async def test_other_choices_are_not_joined_into_the_text():
    told: list[str] = []
    both = [
        {"choices": [{"index": 1, "delta": {"content": "Bye"}}, {"index": 0, "delta": {"content": "Hel"}}]},
        {"choices": [{"index": 1, "delta": {"content": " then"}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
    ]
    answer = await ask(events(*both), told)
    assert (answer.text, told) == ("Hello", ["Hel", "Hello"])


async def test_a_text_in_the_second_choice_alone_is_the_answer():
    assert (await ask(body(choices=[message(content=""), message(content="Hello")]))).text == "Hello"


@pytest.mark.parametrize(
    "content",
    [
        "Hello",
        ["Hel", "lo"],
        [{"type": "text", "text": "Hel"}, {"text": "lo"}],
        [{"type": "reasoning", "text": "Hm"}, {"type": "text", "text": {"value": "Hello"}}],
        {"type": "text", "text": "Hello"},
        [None, {"type": "text", "text": None}, {"type": "text", "text": "Hello"}],
        "Hm\n</think>\n\nHello",
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_content_in_whatever_form(content, stream):
    said = {"content": content, "tool_calls": None, "refusal": None, "function_call": None}
    reply = events({"choices": [{"delta": said}]}, ENDED) if stream else body(choices=[message(**said)])
    assert (await ask(reply, stream=stream)).text == "Hello"


@pytest.mark.parametrize(
    "finish", [None, "", "stop", "tool_calls", "length", "STOP", "eos", 1, {"a": 1}], ids=str
)
async def test_the_reason_to_finish_may_be_wrong(finish):
    choice = message(content="Hello", tool_calls=[call()]) | {"finish_reason": finish}
    answer = await ask(body(choices=[choice]), stream=False)
    assert (answer.text, made(answer)) == ("Hello", CALLED)


async def test_a_stream_that_says_too_early_that_it_has_finished_is_read_to_its_end():
    told: list[str] = []
    answer = await ask(events(chunk("Hel", finish="stop"), chunk("lo", finish="stop")), told)
    assert (answer.text, told) == ("Hello", ["Hel", "Hello"])


def raw(*lines: bytes, end: bytes = b"\n") -> Reply:
    return Reply(end.join(lines), headers={"Content-Type": "text/event-stream"})


HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}'
LAST = b"data: [DONE]"


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"\xef\xbb\xbf" + HELLO, b"", LAST, b""),
        raw(HELLO, b"", LAST, b"", end=b"\r"),
        raw(b": comment", b"", HELLO, b"", b": comment", b"", LAST, b"", end=b"\r\n"),
        raw(b"data: null", b"", b"data:", b"", b"data: {}", b"", HELLO, b"", LAST, b""),
        raw(b"data: ping", b"", b"event: ping", b"data: 1", b"", b'data: ""', b"", HELLO, b"", LAST, b""),
        raw(b'data: {"choices":null}', b"", b'data: {"choices":[null]}', b"", HELLO, b"", LAST, b""),
        raw(b'data: {"choices":[{"delta":null}]}', b"", b"data: []", b"", HELLO, b"", LAST, b""),
        raw(HELLO, LAST),
        raw(HELLO[6:], b""),
        raw(b"\xef\xbb\xbf" + completion("Hello").body),
        raw(HELLO, b"", b"data: [done]", b""),
    ],
    ids=[
        *("byte order mark", "CR", "comments", "nothing in it", "no JSON", "no choices", "no delta"),
        *("no blank lines", "JSON lines", "whole with byte order mark", "small done"),
    ],
)
async def test_events_in_whatever_form(reply):
    assert (await ask(reply)).text == "Hello"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_lone_surrogate_costs_one_character(stream):
    made_call = {"id": "c\ud83d", "function": {"name": "reminders", "arguments": '{"a": "\\ud83d"}'}}
    said = {"content": "Hi \ud83d!", "tool_calls": [made_call]}
    streamed = events(body(choices=[{"delta": said, "finish_reason": "stop"}]).body)
    reply = streamed if stream else body(choices=[message(**said)])
    answer = await ask(reply, stream=stream)
    assert (answer.text, made(answer)) == ("Hi \ufffd!", [("reminders", {"a": "\ufffd"})])
    assert answer.tool_calls[0].id == "c\ufffd"


@pytest.mark.parametrize("stream", [True, False])
async def test_bytes_that_are_no_utf8_cost_one_character(stream):
    assert (
        await ask(Reply(b'{"choices":[{"message":{"content":"Hi \xff!"}}]}'), stream=stream)
    ).text == "Hi \ufffd!"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"error": {"message": "Overloaded", "code": 503}}, ModelUnavailableError),
        ({"error": {"message": "no credits", "code": 402}}, NoCreditError),
        ({"object": "error", "message": "no such model", "code": 404}, UnknownModelError),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, ModelUnavailableError),
        ([{"error": {"message": "no", "code": 400}}], ModelRefusedError),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_with_status_200(value, kind, stream):
    for reply in (Reply(json.dumps(value).encode()), *([events(chunk("Hel"), value)] if stream else [])):
        with pytest.raises(kind) as raised:
            await ask(reply, stream=stream)
        assert type(raised.value) is kind


@pytest.mark.parametrize("ask_for", ["chat", "responses"])
async def test_a_stream_that_nobody_asked_for(ask_for):
    if ask_for == "chat":
        answer = await ask(events(chunk("Hel"), chunk("lo", finish="stop")), stream=False)
    else:
        reply = events({"type": "response.completed", "response": response(said("Hello"))})
        answer = await respond(reply, stream=False)
    assert answer.text == "Hello"


async def test_line_breaks_that_json_does_not_allow():
    arguments = b'{\\"a\\": \\"1\n2\\"}'
    reply = Reply(
        b'{"choices":[{"message":{"content":"one\ntwo\tthree","tool_calls":[{"id":"c","function":'
        b'{"name":"reminders","arguments":"' + arguments + b'"}}]}}]}'
    )
    answer = await ask(reply, stream=False)
    assert (answer.text, made(answer)) == ("one\ntwo\tthree", [("reminders", {"a": "1\n2"})])


async def test_what_is_nested_too_deeply_is_no_answer():
    deep = json.loads("[" * 300 + "]" * 300)
    for value in (
        {"choices": [message(content="Hello", reasoning_content=deep)]},
        response({"type": "reasoning", "x": deep}, function_call()),
    ):
        with pytest.raises(BadAnswerError, match="deep"):
            await (ask if "choices" in value else respond)(body(**value), stream=False)


async def test_an_error_by_the_name_of_its_event():
    with pytest.raises(ModelUnavailableError, match="upstream gone"):
        await ask(raw(b"event: error", b'data: {"message": "upstream gone"}', b"", b""))


@pytest.mark.parametrize(
    ("provider", "sent"),
    [
        ("openrouter", chunk(reasoning_details=[{"text": "x" * 100_000}])),
        ("deepseek", chunk(reasoning_content="x" * 100_000)),
        ("gemini", piece(id="c1", name="reminders", extra_content={"x": "x" * 100_000})),
    ],
    ids=["openrouter", "deepseek", "gemini"],
)
async def test_what_a_provider_wants_back_has_bounds_too(provider, sent):
    with pytest.raises(AnswerTooLargeError):
        await ask(events(*[sent] * 20), quirks=KNOWN[provider].quirks)
    with pytest.raises(CutAnswerError):  # which nobody wants back is not kept
        await ask(events(*[sent] * 20, done=False))


MANY = [call(id=f"c{number}", index=number) for number in range(20_000)]


@pytest.mark.parametrize(
    "reply",
    [
        body(choices=[message(tool_calls=MANY)]),
        events(*(chunk(tool_calls=[each]) for each in MANY), ENDED),
        events(*({"choices": [{"index": number, "delta": {}}]} for number in range(500))),
        body(choices=[{}] * 100_000),
        body(choices=[message(tool_calls=[{}] * 100_000)]),
        events(*(chunk("x" * 100_000) for _ in range(20))),
        events(piece(id="c1", name="reminders"), *(piece(arguments="x" * 100_000) for _ in range(20))),
    ],
    ids=[
        *("calls", "calls of a stream", "choices of a stream", "choices", "empty calls"),
        *("text", "arguments"),
    ],
)
async def test_an_answer_without_an_end_is_none(reply):
    with pytest.raises(AnswerTooLargeError):
        await ask(reply)


# the Responses protocol


async def respond(reply: Reply, *, stream: bool) -> ModelAnswer:
    sink = (lambda _text: None) if stream else None
    async with (
        OpenAIStandIn(reply) as server,
        aclosing(Provider("p", base_url=server.url, timeouts=TIMEOUTS)) as provider,
    ):
        return await ResponsesBackend(provider).complete(REQUEST, on_text=sink)


def response(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"status": "completed", "output": list(output), **fields}


def said(text: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


def function_call(**fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": "c1", "name": "reminders", "arguments": '{"a": 1}', **fields}


def as_reply(value: Any, *, stream: bool) -> Reply:
    if not stream:
        return Reply(json.dumps(value).encode())
    last = json.dumps({"type": "response.completed", "response": value}).encode()
    return events(b"null", b"ping", last)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (response(said("Hello")), "Hello"),
        (response(said([{"type": "output_text", "text": "Hello"}, None])), "Hello"),
        (response(said([{"type": "refusal", "refusal": "Hello"}])), "Hello"),
        (response(None, said("Hm</think>Hello")), "Hello"),
        (response(said("Hi \ud83d!")), "Hi \ufffd!"),
        (response(said("Hello"), status=None, usage={"input_tokens": -1, "output_tokens": "x"}), "Hello"),
        (response(said("Hello"), usage=[], error=None, incomplete_details="none"), "Hello"),
    ],
    ids=str,
)
async def test_odd_responses(value, text, stream):
    assert (await respond(as_reply(value, stream=stream), stream=stream)).text == text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "fields",
    [{"call_id": 0}, {"call_id": None}, {"call_id": None, "id": "fc_1"}, {"arguments": {"a": 1}}],
    ids=str,
)
async def test_odd_calls_in_a_response(fields, stream):
    answer = await respond(as_reply(response(function_call(**fields)), stream=stream), stream=stream)
    assert made(answer) == CALLED
    assert answer.tool_calls[0].id


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"error": {"message": "Overloaded", "code": 503}}, ModelUnavailableError),
        ({"error": {"message": "no credits", "code": 402}}, NoCreditError),
        (response(*(function_call(call_id=f"c{n}") for n in range(200))), AnswerTooLargeError),
        (response(said("x" * 2**21)), AnswerTooLargeError),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_responses_that_are_none(value, kind, stream):
    with pytest.raises(kind) as raised:
        await respond(as_reply(value, stream=stream), stream=stream)
    assert type(raised.value) is kind


async def test_the_text_of_a_response_without_an_end():
    delta = {"type": "response.output_text.delta", "delta": "x" * 100_000}
    with pytest.raises(AnswerTooLargeError):
        await respond(events(*[delta] * 20), stream=True)


async def test_the_items_of_a_response_without_an_end():
    item = {"type": "response.output_item.done", "item": {"type": "reasoning", "x": "x" * 100_000}}
    with pytest.raises(AnswerTooLargeError):
        await respond(events(*[item] * 50), stream=True)


async def test_nothing_is_still_no_answer():
    for reply in (events(b"null"), Reply(b"null"), events(b"{}"), body(choices=None)):
        with pytest.raises(BadAnswerError):
            await ask(reply)
