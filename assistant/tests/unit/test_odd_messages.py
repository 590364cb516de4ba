"""Messages and calls in other shapes than the protocol's, whose meaning is plain."""

import json
from typing import Any

import pytest

from assistant.src.core.chat.answer import AnswerReader
from assistant.src.core.errors import BadAnswerError, ModelUnavailableError
from assistant.src.core.model import ModelAnswer
from assistant.src.core.providers.quirks import Quirks
from assistant.src.core.wire.tool_calls import normalize_arguments
from assistant.tests.standin import chunk


def read(*values: Any) -> ModelAnswer:
    reader = AnswerReader("openai", "m", Quirks(), tools={"remind"})
    for value in values:
        reader.read(json.dumps(value).encode())
    return reader.answer()


def whole(content: str | None, *, finish: str | None = None, **message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"content": content, **message}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    "choice",
    [
        {"message": "Hello", "finish_reason": "stop"},
        {"delta": "Hello", "finish_reason": "stop"},
        {"text": "Hello", "index": 0, "finish_reason": "stop"},
    ],
)
def test_a_text_in_the_place_of_a_message_is_the_answer(choice):
    assert read({"choices": [choice]}).text == "Hello"


def test_a_stream_that_ends_with_the_whole_message_says_it_once():
    assert read(chunk("Hel"), chunk("lo"), whole("Hello", finish="stop")).text == "Hello"
    assert read(chunk("Hello"), whole("", finish="stop")).text == "Hello"


def test_a_stream_that_repeats_the_message_each_time_says_it_once_and_within_its_bounds():
    text = "x" * 2_000
    assert read(*(whole(text[: end + 1]) for end in range(2_000))).text == text


def test_calls_of_a_message_that_is_sent_again_run_once():
    call = {"id": "1", "type": "function", "function": {"name": "remind", "arguments": "{}"}}
    answer = read(chunk(tool_calls=[call | {"index": 0}]), whole(None, tool_calls=[call]))
    assert [made.name for made in answer.tool_calls] == ["remind"]


@pytest.mark.parametrize(
    "call",
    [
        {"name": "remind", "input": {"a": 1}},
        {"function": {"name": "remind", "parameters": {"a": 1}}},
        {"function": [{"name": "remind", "arguments": {"a": 1}}]},
        {"function": "remind", "name": "remind", "arguments": '{"a": 1}'},
    ],
)
def test_arguments_under_another_name_are_read(call):
    [made] = read(whole(None, tool_calls=[call])).tool_calls
    assert (made.name, json.loads(made.arguments)) == ("remind", {"a": 1})


@pytest.mark.parametrize(
    "given",
    [
        "{'a': 'b', 'c': True, 'd': None}",
        '{"a": "b", "c": true, "d": null,}',
        '```json\n{"a": "b", "c": true, "d": null}\n```',
        "```\n{'a': 'b', 'c': True, 'd': None}\n```",
        '[{"a": "b", "c": true, "d": null}]',
        [{"a": "b", "c": True, "d": None}],
        "\"{'a': 'b', 'c': True, 'd': None}\"",
    ],
)
def test_arguments_that_are_nearly_json_are_read(given):
    assert json.loads(normalize_arguments(given)) == {"a": "b", "c": True, "d": None}


@pytest.mark.parametrize(
    "given",
    [
        "{'a': open('x')}",
        "{'a': b}",
        "{1, 2}",
        "{'a': {1}}",
        "{'a': b'x'}",
        '{"a": 1',
        "Here: {'a': 1}",
        "{" * 5_000,
        "{" + "-" * 9_000 + "1}",
        "{'a': " + "[" * 500 + "]" * 500 + "}",
    ],
)
def test_what_is_no_object_stays_as_it_is(given):
    assert normalize_arguments(given) == given


def test_an_error_that_a_proxy_writes_into_a_stream_says_why():
    reader = AnswerReader("openai", "m", Quirks())
    with pytest.raises(ModelUnavailableError, match="upstream timed out"):
        reader.read(b"upstream timed out", event="error")


UNSEEN = ["\u200b", "\ufeff", "\x00", "\x01\n\x02", "\u2060 \u200d", "\u2800", "\u3164", "\xad"]


@pytest.mark.parametrize("text", UNSEEN)
def test_a_text_that_nobody_sees_is_an_empty_answer(text):
    with pytest.raises(BadAnswerError, match="empty"):
        read(chunk(text), chunk(finish="stop"))


@pytest.mark.parametrize("text", ["🙂", "\u200bHello", ".", "👩\u200d💻", "م"])
def test_one_sign_that_is_seen_is_an_answer(text):
    assert read(chunk(text), chunk(finish="stop")).text == text
