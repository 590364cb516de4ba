"""Calls that a model writes into its text run, and nobody reads them; what is about calls stays a text."""

import time
from typing import Any

import pytest

from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, ToolLoop
from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import BadAnswerError
from assistant.src.core.model import UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.wire.text_collector import TextCollector
from assistant.tests.fakes import FunctionTool, context_of
from assistant.tests.standin import Reply, StandIn, chunk, completion, events

TOOLS = {"remind"}
TEXT = {"text": {"type": "string"}}
JSON = '{"name": "remind", "arguments": {"text": "water"}}'
CALLS = [
    f"<tool_call>\n{JSON}\n</tool_call>",
    f"<tool_call>\n{JSON}",
    f"<tool_call>[{JSON}]</tool_call>",
    f"<think>Remind.</think>\n<tool_call>{JSON}</tool_call>",
    f"<function_call>{JSON}</function_call>",
    f"[TOOL_CALLS] [{JSON}]",
    '[TOOL_CALLS]remind{"text": "water"}',
    '[TOOL_CALLS]remind[CALL_ID]1a[ARGS]{"text": "water"}',
    f"<|python_tag|>{JSON.replace('arguments', 'parameters')}",
    '<function=remind>{"text": "water"}</function>',
    "<tool_call>\n<function=remind>\n<parameter=text>\nwater\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>remind\n<arg_key>text</arg_key>\n<arg_value>water</arg_value>\n</tool_call>",
    '<function_calls>\n<invoke name="remind">\n<parameter name="text">water</parameter>\n</invoke>',
    '<|tool_calls_section_begin|><|tool_call_begin|>remind<|tool_call_argument_begin|>{"text":"water"}',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>remind\n```json\n{"text":"water"}\n```',
    '<|channel|>commentary to=remind <|constrain|>json<|message|>{"text":"water"}<|call|>',
    '<|channel|>analysis<|message|>Hm<|end|><|channel|>commentary to=remind json<|message|>{"text":"water"}',
    '<|start|>assistant to=remind<|channel|>commentary json<|message|>{"text":"water"}<|call|>',
]
BARE = [
    JSON,
    f"```json\n{JSON}\n```",
    f"[{JSON}]",
    '{"type": "function", "function": {"name": "remind", "arguments": {"text": "water"}}}',
]


def grown(text: str) -> tuple[TextCollector, list[str]]:
    growing, shown = TextCollector(TOOLS), list[str]()
    for letter in text:
        growing.add(letter)
        growing.show(shown.append)
    return growing, shown


@pytest.mark.parametrize("text", [*CALLS, *BARE])
def test_a_call_is_found_and_left_out_of_the_text(text: str):
    growing, _ = grown(text)
    assert [(call.name, call.arguments) for call in growing.calls()] == [("remind", {"text": "water"})]
    assert growing.text() == ""


@pytest.mark.parametrize("text", CALLS)
def test_nothing_of_a_call_is_shown_while_it_grows(text: str):
    assert not any(map(str.strip, grown(text)[1]))


@pytest.mark.parametrize("call", CALLS[4:])
def test_what_the_model_says_before_the_call_stays(call: str):
    growing, shown = grown(f"I will set it.\n\n{call}\nResult: done")
    assert growing.text() == "I will set it."
    assert shown[-1].strip() == "I will set it."


def test_several_calls_are_found_in_their_order():
    text = f'<tool_call>{JSON}</tool_call>\n<tool_call>{{"name": "now", "arguments": {{}}}}</tool_call>'
    assert [call.name for call in grown(text)[0].calls()] == ["remind", "now"]


def test_arguments_in_tags_are_numbers_where_they_read_so():
    text = "<function=remind><parameter=minutes>\n30\n</parameter><parameter=text>\na\nb\n</parameter>"
    assert grown(text)[0].calls()[0].arguments == {"minutes": 30, "text": "a\nb"}


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        f"Write `<tool_call>{JSON}</tool_call>` there.",
        f"Write:\n```xml\n<tool_call>{JSON}</tool_call>\n```\nthere.",
        "Qwen puts calls between <tool_call> and </tool_call>.",
        "<tool_call>{broken",
        "Llama writes <function=name> then.",
        "Mistral begins with [TOOL_CALLS] then.",
        '{"a": 1}',
        '{"name": "Ada", "arguments": {}}',
        '{"name": "remind", "arguments": {}, "price": 3}',
        f"Send this: {JSON}",
        f"{JSON} is what I would send.",
        "Say to=remind<|message|> like this.",
    ],
)
def test_an_answer_about_calls_is_an_answer(text: str):
    growing, _ = grown(text)
    assert growing.calls() == []
    assert growing.text() == text


def test_without_tools_json_is_an_answer_and_a_marked_call_is_a_call():
    growing = TextCollector(())
    growing.add(JSON)
    assert (growing.text(), growing.calls()) == (JSON, [])
    growing.clear()
    growing.add(CALLS[0])
    assert (growing.text(), len(growing.calls())) == ("", 1)


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("{'name': 'remind', 'arguments': {'text': 'water'}}", {"text": "water"}),
        ('{"name": "remind", "arguments": {"text": "water"},}', {"text": "water"}),
        ('{"name": "remind", "arguments": {"text": "wat', '{"name": "remind", "arguments": {"text": "wat'),
    ],
)
def test_a_marked_call_that_is_no_json_is_a_call(written: str, arguments: object):
    growing, _ = grown(f"<tool_call>{written}</tool_call>")
    assert [(call.name, call.arguments) for call in growing.calls()] == [("remind", arguments)]
    assert growing.text() == ""


def test_where_a_text_cannot_hold_calls_nothing_is_one():
    growing = TextCollector()
    growing.add(JSON)
    assert growing.text() == JSON
    assert growing.calls() == []


@pytest.mark.parametrize(
    "piece",
    [
        "<tool_call>",
        '<tool_call>{"a":[',
        "<function=a>",
        "<parameter=a>",
        "<tool_call> ",
        "[TOOL_CALLS] ",
        "to=a",
        '<invoke name="a">',
        "<function=a><parameter=b>",
        "<｜tool▁call▁begin｜>",
        "{",
        " ",
    ],
)
def test_a_hostile_text_takes_time_in_proportion_to_it(piece: str):
    growing = TextCollector(TOOLS)
    growing.add("<" + piece * (65_000 // len(piece)))
    started = time.process_time()
    growing.text()
    growing.show(lambda _text: None)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_call_runs_and_the_person_gets_the_answer_behind_it(streamed: bool):
    wants = f"I will set it.\n<tool_call>\n{JSON}\n</tool_call>"
    done: list[str] = []
    remind = FunctionTool("remind", lambda **given: done.append(given["text"]), properties=TEXT)

    def says(body: dict[str, Any]) -> Reply:
        text = "It is set." if len(body["messages"]) > 2 else wants
        return events(chunk(text), chunk(finish="stop")) if streamed else completion(text)

    async with StandIn(says) as server:
        provider = Provider("openai", base_url=server.url, timeouts=Timeouts(connect=10, whole=30))
        choice = ModelChoice("a", "Secretary", ("m",), "Be brief.")
        loop = ToolLoop(ChatCompletionsBackend(provider), choice, [remind], LoopLimits())
        context = context_of()
        try:
            outcome = await loop.run(UserMessage("Remind me"), (), context)
        finally:
            await provider.aclose()
        assert outcome.answer == "It is set."
        assert done == ["water"]
        called, result = server.requests[1]["messages"][2:]
        assert called["content"] == "I will set it."
        assert called["tool_calls"][0]["id"] == result["tool_call_id"]


async def test_a_call_instead_of_the_last_answer_is_not_shown():
    done: list[str] = []
    remind = FunctionTool("remind", lambda **given: done.append(given["text"]), properties=TEXT)
    async with StandIn(completion(f"<tool_call>{JSON}</tool_call>")) as server:
        provider = Provider("openai", base_url=server.url, timeouts=Timeouts(connect=10, whole=30))
        choice = ModelChoice("a", "Secretary", ("m",), "Be brief.")
        loop = ToolLoop(ChatCompletionsBackend(provider), choice, [remind], LoopLimits())
        try:
            with pytest.raises(BadAnswerError, match="instead of the last answer"):
                await loop.run(UserMessage("Remind me"), (), context_of())
        finally:
            await provider.aclose()
