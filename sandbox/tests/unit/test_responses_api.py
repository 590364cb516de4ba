"""Responses as the official client sees them."""

import asyncio
import json
from typing import Any

import openai
import pytest

CLOCK: Any = {
    "type": "function",
    "name": "current_time",
    "description": "The time.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"timezone": {"type": "string"}},
        "required": ["timezone"],
        "additionalProperties": False,
    },
}
TWO_CITIES = "What time is it in Tokyo and London?"


def output_of(call: Any) -> Any:
    result = {"date": "2026-11-22", "time": "18:30", **json.loads(call.arguments)}
    return {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(result)}


async def ask(client: Any, question: Any, **more: Any) -> Any:
    return await client.responses.create(model="sandbox-demo", input=question, **more)


async def test_an_answer(client: Any):
    made = await ask(client, "repeat: hi", instructions="You help.", max_output_tokens=50)
    assert made.output_text == "hi"
    assert (made.status, made.model, made.error) == ("completed", "sandbox-demo", None)
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0
    assert made.instructions == "You help."


async def test_instructions_are_obeyed_and_not_carried_over(client: Any):
    first = await ask(client, "repeat: hi", instructions='Begin every answer with "Sir,"')
    assert first.output_text == "Sir, hi"
    second = await ask(client, "repeat: hi", previous_response_id=first.id)
    assert second.output_text == "hi"


async def test_a_tool_loop_with_the_whole_input(client: Any):
    said: list[Any] = [{"role": "user", "content": TWO_CITIES}]
    keep = {
        "store": False,
        "tools": [CLOCK],
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    }
    asked = await ask(client, said, **keep)
    assert [item.type for item in asked.output] == ["reasoning", "function_call", "function_call"]
    calls = asked.output[1:]
    assert [json.loads(call.arguments)["timezone"] for call in calls] == ["Asia/Tokyo", "Europe/London"]
    said += [*asked.output, *map(output_of, calls)]
    told = await ask(client, said, **keep)
    assert "In Tokyo it is **18:30**" in told.output_text
    assert "In London it is **18:30**" in told.output_text


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({}, ["message"]),
        ({"reasoning": {"effort": "low"}}, ["reasoning", "message"]),
        ({"include": ["reasoning.encrypted_content"]}, ["reasoning", "message"]),
        (
            {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "none"}},
            ["message"],
        ),
    ],
)
async def test_thoughts_are_given_where_they_are_wanted(client: Any, more: Any, kinds: list[str]):
    made = await ask(client, "hello", **more)
    assert [item.type for item in made.output] == kinds
    if "include" in more and "reasoning" in kinds:
        assert made.output[0].encrypted_content


async def test_a_tool_loop_after_a_stored_response(client: Any):
    asked = await ask(client, TWO_CITIES, tools=[CLOCK], parallel_tool_calls=False)
    [call] = asked.output
    told = await ask(client, [output_of(call)], previous_response_id=asked.id)
    assert "In Tokyo it is **18:30**" in told.output_text


async def test_choices_of_tools(client: Any):
    assert (await ask(client, TWO_CITIES, tools=[CLOCK], tool_choice="none")).output_text
    for choice in ("required", {"type": "function", "name": "current_time"}):
        forced = await ask(client, "hello", tools=[CLOCK], tool_choice=choice)
        assert [item.type for item in forced.output] == ["function_call"]


async def test_the_token_limit_cuts(client: Any):
    made = await ask(client, "help", max_output_tokens=16)
    assert (made.status, made.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert len(made.output_text) == 64


async def test_streaming_text_in_the_order_of_the_protocol(client: Any):
    whole = (await ask(client, "покажи разметку")).output_text
    events = [event async for event in await ask(client, "покажи разметку", stream=True)]
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.output == []
    assert events[-1].response.output_text == whole


async def test_the_clients_stream_helper(client: Any):
    tools: Any = [CLOCK]
    async with client.responses.stream(model="sandbox-demo", input=TWO_CITIES, tools=tools) as stream:
        deltas = [event.delta async for event in stream if event.type.endswith("arguments.delta")]
        final = await stream.get_final_response()
    calls: Any = final.output
    assert "".join(deltas) == "".join(call.arguments for call in calls)
    assert [call.name for call in calls] == ["current_time", "current_time"]


async def test_a_stored_response_is_found_until_it_is_deleted(client: Any):
    made = await ask(client, "repeat: hi")
    assert (await client.responses.retrieve(made.id)).output_text == "hi"
    [item] = [item async for item in client.responses.input_items.list(made.id)]
    assert item.content[0].text == "repeat: hi"
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        await client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, "hello", previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


async def test_nothing_is_found_of_a_response_that_was_not_stored(client: Any):
    made = await ask(client, "hello", store=False, reasoning={"effort": "low"})
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError, match="Items are not persisted when `store` is set to false"):
        await ask(client, [*made.output, {"role": "user", "content": "hello"}])


CALL = {"type": "function_call", "call_id": "call_1", "name": "current_time", "arguments": "{}"}
OPEN = {**CLOCK, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
OPTIONAL = {**CLOCK, "parameters": {**CLOCK["parameters"], "required": []}}
DEEP = {
    **CLOCK,
    "parameters": {
        **CLOCK["parameters"],
        "properties": {"timezone": {"anyOf": [{"type": "object", "properties": {}}, {"type": "null"}]}},
    },
}


@pytest.mark.parametrize(
    ("question", "more", "words"),
    [
        ([CALL], {}, "No tool output found for function call call_1."),
        (
            [{"type": "function_call_output", "call_id": "call_2", "output": "x"}],
            {},
            "No tool call found for function call output with call_id call_2.",
        ),
        ([{"role": "wizard", "content": "x"}], {}, "Invalid value: 'wizard'"),
        ([{"type": "spell"}], {}, "Invalid value: 'spell'"),
        ([{"role": "user", "content": None}], {}, "expected a string, got null"),
        ([{**CALL, "call_id": None}], {}, r"Missing required parameter: 'input\[0\].call_id'"),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}],
            {},
            "could not be verified",
        ),
        (None, {}, "must be provided"),
        ("x", {"tools": [{"type": "function", "function": {"name": "a"}}]}, r"'tools\[0\].name'"),
        ("x", {"tools": [{"type": "oracle"}]}, "Invalid value: 'oracle'"),
        ("x", {"tools": [OPEN]}, "'additionalProperties' is required to be supplied and to be false"),
        ("x", {"tools": [OPTIONAL]}, "every key in properties. Missing 'timezone'"),
        ("x", {"tools": [DEEP]}, r"In context=\('properties', 'timezone', 'anyOf', '0'\)"),
        ("x", {"tool_choice": "required"}, "only allowed when 'tools'"),
        ("x", {"max_output_tokens": 5}, "Expected a value >= 16"),
        ("x", {"conversation": "conv_1", "previous_response_id": "resp_1"}, "Mutually exclusive"),
        ("x", {"conversation": "thread_1"}, "begins with 'conv_'"),
        ("x", {"background": True}, "not played here"),
    ],
)
async def test_refused_requests(client: Any, question: Any, more: Any, words: str):
    with pytest.raises(openai.BadRequestError, match=words):
        await ask(client, question, **more)


async def test_no_key_no_answer(outside: Any):
    async with outside.session.post(f"{outside.url}/openai/v1/responses", json={}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 429, "retry_after": 7}, openai.RateLimitError),
        ({"kind": "status", "status": 500, "method": "responses.create"}, openai.InternalServerError),
        ({"kind": "disconnect"}, openai.APIConnectionError),
        ({"kind": "truncate"}, openai.APIConnectionError),
        ({"kind": "hang", "seconds": 0.01}, openai.APIConnectionError),
    ],
)
async def test_faults_are_the_errors_of_the_client(client: Any, outside: Any, fault: Any, error: type):
    await outside.fault(**{"target": "openai", "method": "responses", "times": 1, **fault})
    assert (await client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])).id
    with pytest.raises(error):
        await ask(client, "hello")
    assert (await ask(client, "hello")).output_text


async def test_a_failed_response_says_so(client: Any, outside: Any):
    await outside.fault(target="openai", kind="fail", times=2)
    failed = await ask(client, "hello")
    assert (failed.status, failed.error.code, failed.output) == ("failed", "server_error", [])
    events = [event.type async for event in await ask(client, "hello", stream=True)]
    assert events == ["response.created", "response.in_progress", "response.failed"]


async def test_a_truncated_stream_has_no_terminal_event(client: Any, outside: Any):
    await outside.fault(target="openai", kind="truncate", after_chunks=6, times=1)
    events = [event.type async for event in await ask(client, "help", stream=True)]
    assert events[-2:] == ["response.output_text.delta"] * 2
    assert len(events) == 6


async def test_a_stream_that_stalls_is_heard_until_then(client: Any, outside: Any):
    await outside.fault(target="openai", kind="stall", after_chunks=5, times=1)
    stream = await ask(client.with_options(timeout=0.2), "help", stream=True)
    heard = [await anext(stream) for _ in range(5)]
    assert heard[-1].type == "response.output_text.delta"
    with pytest.raises(openai.APITimeoutError):
        await anext(stream)
    assert (await ask(client, "hello")).output_text


async def test_the_models_pace_is_kept(client: Any, outside: Any):
    await outside.post("/control/model", {"latency": 0.1, "chunk": 0.01})
    loop = asyncio.get_running_loop()
    started = loop.time()
    [*events] = [event async for event in await ask(client, "repeat: hi", stream=True)]
    assert loop.time() - started >= 0.1 + 0.01 * len(events)
