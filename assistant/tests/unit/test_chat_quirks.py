"""What providers want otherwise: each quirk in the request, and back from the answer."""

from dataclasses import replace
from typing import Any

import pytest

from assistant.src.core.chat.answer import AnswerReader
from assistant.src.core.chat.request import request_body
from assistant.src.core.model import (
    AssistantMessage,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from assistant.src.core.providers.known import KNOWN, OPENAI
from assistant.src.core.providers.quirks import Quirks
from assistant.src.utils.text import compact_json

OPTIONAL = {"type": "object", "properties": {"a": {"type": "string"}}}
FREE = {"type": "object", "additionalProperties": True}
TOOLS = (ToolSpec("t", "does it", OPTIONAL), ToolSpec("f", "free", FREE))
CALL = ToolCall("call_0123456789abcdef", "t", "{}")
REQUEST = ModelRequest(
    models=("m",),
    instructions="x",
    messages=[UserMessage("Hi"), AssistantMessage("", (CALL,)), ToolMessage(CALL.id, "42")],
    tools=TOOLS,
    temperature=0.5,
    max_output_tokens=100,
)


def body_of(
    request: ModelRequest = REQUEST, quirks: Quirks | None = None, *, model: str = "m"
) -> dict[str, Any]:
    return request_body(model, request, quirks or Quirks(), provider="p")


def test_the_limit_of_an_answer_has_two_names():
    assert body_of()["max_tokens"] == body_of(quirks=OPENAI)["max_completion_tokens"] == 100


def test_tools_that_cannot_be_forbidden_are_taken_away():
    last = replace(REQUEST, tool_choice="none")
    assert body_of(last)["tool_choice"] == "none"
    assert not {"tools", "tool_choice"} & body_of(last, KNOWN["ollama"].quirks).keys()
    assert "tools" in body_of(REQUEST, KNOWN["ollama"].quirks)


def test_strict_tools_where_the_schema_can_be_said_so():
    strict, free = (tool["function"] for tool in body_of(quirks=OPENAI)["tools"])
    assert strict["strict"] is True
    assert strict["parameters"]["properties"] == {"a": {"type": ["string", "null"]}}
    assert free == {"name": "f", "description": "free", "parameters": FREE}
    assert all("strict" not in tool["function"] for tool in body_of()["tools"])


@pytest.mark.parametrize(
    ("model", "sent"), [("o3-mini", False), ("gpt-6-luna", False), ("gpt-4o", True), ("llama3.2", True)]
)
def test_models_that_reason_take_no_temperature(model, sent):
    assert ("temperature" in body_of(model=model)) is sent


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "gpt-6-luna"])
def test_models_that_reason_know_one_name_of_the_limit_at_whatever_server(model):
    body = body_of(model=model)
    assert (body["max_completion_tokens"], "max_tokens" in body) == (100, False)
    unlimited = body_of(replace(REQUEST, max_output_tokens=None), model=model)
    assert not {"max_tokens", "max_completion_tokens"} & unlimited.keys()


def test_ids_of_calls_are_short_where_they_must_be_and_still_fit_each_other():
    _, _, calling, result = body_of(quirks=KNOWN["mistral"].quirks)["messages"]
    (call,) = calling["tool_calls"]
    assert call["id"] == result["tool_call_id"]
    assert (len(call["id"]), call["id"].isalnum()) == (9, True)
    assert body_of(quirks=KNOWN["mistral"].quirks) == body_of(quirks=KNOWN["mistral"].quirks)
    kept = replace(REQUEST, messages=[AssistantMessage("", (replace(CALL, id="Ab3dEf6h9"),))])
    assert body_of(kept, KNOWN["mistral"].quirks)["messages"][1]["tool_calls"][0]["id"] == "Ab3dEf6h9"


@pytest.mark.parametrize("quirks", [Quirks(), KNOWN["mistral"].quirks], ids=["plain", "short"])
def test_calls_of_several_rounds_never_share_an_id(quirks):
    """Some servers number their calls anew in each answer; others refuse a history with one id twice."""
    rounds = [
        message
        for text in ("one", "two")
        for message in (AssistantMessage("", (ToolCall("call_1", "t", "{}"),)), ToolMessage("call_1", text))
    ]
    _, first, one, second, two = body_of(replace(REQUEST, messages=rounds), quirks)["messages"]
    assert first["tool_calls"][0]["id"] == one["tool_call_id"]
    assert second["tool_calls"][0]["id"] == two["tool_call_id"]
    assert one["tool_call_id"] != two["tool_call_id"]


def answered(quirks: Quirks, *deltas: dict[str, Any], provider: str = "p") -> ModelAnswer:
    reader = AnswerReader(provider, "m", quirks)
    for delta in deltas:
        reader.read(compact_json({"choices": [{"delta": delta}]}).encode())
    reader.read(b"[DONE]")
    return reader.answer()


def wire_call(**extras: Any) -> dict[str, Any]:
    return {"index": 0, "id": "c1", "function": {"name": "t", "arguments": "{}"}} | extras


def repeated(answer: ModelAnswer, quirks: Quirks) -> dict[str, Any]:
    """The answer as the next request of the same run repeats it."""
    said = AssistantMessage(answer.text, answer.tool_calls, answer.opaque)
    message: dict[str, Any] = body_of(replace(REQUEST, messages=[said]), quirks)["messages"][1]
    return message


def test_gemini_gets_the_signature_of_its_call_back():
    quirks = KNOWN["gemini"].quirks
    signature = {"google": {"thought_signature": "abc"}}
    answer = answered(quirks, {"tool_calls": [wire_call(extra_content=signature)]})
    assert repeated(answer, quirks)["tool_calls"][0]["extra_content"] == signature


def test_deepseek_gets_its_reasoning_back_and_a_blank_for_what_is_gone():
    quirks = KNOWN["deepseek"].quirks
    answer = answered(
        quirks, {"reasoning_content": "Let me "}, {"reasoning_content": "see", "tool_calls": [wire_call()]}
    )
    assert repeated(answer, quirks)["reasoning_content"] == "Let me see"
    assert answer.text == ""
    assert body_of(quirks=quirks)["messages"][2]["reasoning_content"] == ""


def test_openrouter_gets_its_reasoning_details_back():
    quirks = KNOWN["openrouter"].quirks
    answer = answered(
        quirks,
        {"reasoning_details": [{"text": "a"}]},
        {"reasoning_details": [{"text": "b"}], "tool_calls": [wire_call()]},
    )
    assert repeated(answer, quirks)["reasoning_details"] == [{"text": "a"}, {"text": "b"}]
    assert "reasoning_details" not in body_of(quirks=quirks)["messages"][2]


def test_nobody_gets_what_is_another_providers():
    quirks = KNOWN["gemini"].quirks
    answer = answered(quirks, {"tool_calls": [wire_call(extra_content={"google": {}})]}, provider="other")
    assert "extra_content" not in repeated(answer, quirks)["tool_calls"][0]
    foreign = replace(answer, opaque='[{"type": "reasoning"}]')
    assert "extra_content" not in repeated(foreign, quirks)["tool_calls"][0]


def test_an_answer_that_nothing_follows_keeps_nothing():
    assert answered(KNOWN["deepseek"].quirks, {"reasoning_content": "Hm", "content": "Hello"}).opaque == ""
    assert answered(Quirks(), {"reasoning_content": "Hm", "tool_calls": [wire_call()]}).opaque == ""
