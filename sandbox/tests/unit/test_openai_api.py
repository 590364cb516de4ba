"""Chat Completions as the official client sees it."""

import asyncio
import json
from typing import Any

import openai
import pytest

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "current_time",
        "description": "The time.",
        "parameters": {"type": "object", "properties": {"timezone": {"type": "string"}}},
    },
}


def user(text: str) -> Any:
    return {"role": "user", "content": text}


async def chat(client: openai.AsyncOpenAI, *messages: Any, **more: Any) -> Any:
    return await client.chat.completions.create(model="sandbox-demo", messages=list(messages), **more)


async def test_an_answer(client: openai.AsyncOpenAI):
    done = await chat(
        client, {"role": "developer", "content": "You help."}, user("repeat: hi"), max_completion_tokens=50
    )
    assert done.choices[0].message.content == "hi"
    assert done.choices[0].finish_reason == "stop"
    assert done.model == "sandbox-demo"
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0


async def test_a_whole_tool_loop(client: openai.AsyncOpenAI):
    messages: list[Any] = [user("What time is it in Tokyo and London?")]
    asked = (await chat(client, *messages, tools=[TOOL])).choices[0]
    assert asked.finish_reason == "tool_calls"
    calls = asked.message.tool_calls
    assert [json.loads(call.function.arguments)["timezone"] for call in calls] == [
        "Asia/Tokyo",
        "Europe/London",
    ]
    assert len({call.id for call in calls}) == 2
    messages.append(asked.message)
    for call in calls:
        result = {"date": "2026-11-22", "time": "18:30", **json.loads(call.function.arguments)}
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    told = (await chat(client, *messages, tools=[TOOL])).choices[0].message.content
    assert "In Tokyo it is **18:30**" in told


async def test_choices_of_tools(client: openai.AsyncOpenAI):
    tokyo = user("What time is it in Tokyo and London?")
    one = await chat(client, tokyo, tools=[TOOL], parallel_tool_calls=False)
    assert len(one.choices[0].message.tool_calls) == 1
    none = await chat(client, tokyo, tools=[TOOL], tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    for choice in ("required", {"type": "function", "function": {"name": "current_time"}}):
        forced = await chat(client, user("hello"), tools=[TOOL], tool_choice=choice)
        assert forced.choices[0].message.tool_calls[0].function.name == "current_time"


async def test_the_token_limit_cuts(client: openai.AsyncOpenAI):
    done = await chat(client, user("help"), max_completion_tokens=5)
    assert done.choices[0].finish_reason == "length"
    assert len(done.choices[0].message.content) == 20


async def test_streaming_text_with_usage(client: openai.AsyncOpenAI):
    whole = (await chat(client, user("покажи разметку"))).choices[0].message.content
    stream = await chat(client, user("покажи разметку"), stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 1
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len(chunks) > 5


async def test_streaming_tool_calls(client: openai.AsyncOpenAI):
    stream = await chat(client, user("What time is it in Tokyo and London?"), tools=[TOOL], stream=True)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    finish = None
    async for chunk in stream:
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        for call in choice.delta.tool_calls or []:
            names.setdefault(call.index, call.function.name)
            arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    assert names == {0: "current_time", 1: "current_time"}
    assert [json.loads(text)["timezone"] for text in arguments.values()] == ["Asia/Tokyo", "Europe/London"]
    assert finish == "tool_calls"


CALL = {"id": "c1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}


@pytest.mark.parametrize(
    ("messages", "more", "words"),
    [
        ([user("x"), CALLED], {}, "must be followed by tool messages.*did not have response messages: c1"),
        ([user("x"), CALLED, user("y")], {}, "must be followed by tool messages"),
        (
            [user("x"), {"role": "tool", "tool_call_id": "c1", "content": "y"}],
            {},
            "must be a response to a preceding message",
        ),
        (
            [user("x"), CALLED, {"role": "tool", "tool_call_id": "c2", "content": "y"}],
            {},
            "must be a response to",
        ),
        ([user("x"), {"role": "assistant", "content": "y", "tool_calls": []}], {}, "empty array"),
        ([{"role": "wizard", "content": "x"}], {}, "Invalid value: 'wizard'"),
        ([{"role": "user", "content": None}], {}, "expected a string, got null"),
        ([], {}, "Invalid 'messages': empty array"),
        ([user("x")], {"tools": []}, r"\[\] is too short"),
        (
            [user("x")],
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "does not match pattern",
        ),
        (
            [user("x")],
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}}]},
            "Invalid schema for function 'a'",
        ),
        ([user("x")], {"tool_choice": "required"}, "only allowed when 'tools'"),
        (
            [user("x")],
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "b"}}},
            "not found",
        ),
        ([user("x")], {"max_completion_tokens": 0}, "integer below minimum"),
    ],
)
async def test_refused_requests(client: openai.AsyncOpenAI, messages: list[Any], more: Any, words: str):
    with pytest.raises(openai.BadRequestError, match=words):
        await chat(client, *messages, **more)


async def test_a_body_that_is_no_json(outside: Any):
    async with outside.session.post(
        f"{outside.url}/openai/v1/chat/completions", data=b"{", headers={"Authorization": "Bearer x"}
    ) as response:
        assert response.status == 400
        assert "JSON body" in (await response.json())["error"]["message"]


async def test_no_key_no_answer(outside: Any):
    for path in ("chat/completions", "models"):
        method = "POST" if path.startswith("chat") else "GET"
        async with outside.session.request(method, f"{outside.url}/openai/v1/{path}") as response:
            assert response.status == 401
            assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_models(client: openai.AsyncOpenAI):
    assert [model.id async for model in client.models.list()] == ["sandbox-demo"]
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        await client.embeddings.create(model="x", input="y")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 429, "retry_after": 7}, openai.RateLimitError),
        ({"kind": "status", "status": 500}, openai.InternalServerError),
        ({"kind": "status", "status": 401}, openai.AuthenticationError),
        ({"kind": "status", "status": 404}, openai.NotFoundError),
        ({"kind": "disconnect"}, openai.APIConnectionError),
        ({"kind": "truncate"}, openai.APIConnectionError),
        ({"kind": "hang", "seconds": 0.01}, openai.APIConnectionError),
    ],
)
async def test_faults_are_the_errors_of_the_client(
    client: openai.AsyncOpenAI, outside: Any, fault: Any, error: type
):
    await outside.fault(target="openai", times=1, **fault)
    with pytest.raises(error) as caught:
        await chat(client, user("hello"))
    if fault.get("retry_after"):
        assert caught.value.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]
        assert caught.value.code == "rate_limit_exceeded"  # type: ignore[attr-defined]
    assert (await chat(client, user("hello"))).choices


async def test_a_quota_that_is_used_up(client: openai.AsyncOpenAI, outside: Any):
    await outside.fault(target="openai", kind="status", status=429, code="insufficient_quota", model="dear")
    assert (await chat(client, user("hello"))).choices
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="dear", messages=[user("hello")])
    assert caught.value.code == "insufficient_quota"


async def test_streams_that_break(client: openai.AsyncOpenAI, outside: Any):
    await outside.fault(target="openai", kind="truncate", times=1)
    cut = [chunk async for chunk in await chat(client, user("help"), stream=True)]
    assert cut
    assert all(chunk.choices[0].finish_reason is None for chunk in cut)
    await outside.fault(target="openai", kind="disconnect", after=True, times=1)
    stream = await chat(client, user("help"), stream=True)
    with pytest.raises(openai.APIConnectionError):
        async for _chunk in stream:
            pass


async def test_the_models_pace_is_set(client: openai.AsyncOpenAI, outside: Any):
    assert (await outside.post("/control/model", {"latency": 0.2}))["latency"] == 0.2
    loop = asyncio.get_running_loop()
    started = loop.time()
    await chat(client, user("hello"))
    assert loop.time() - started >= 0.2


async def test_the_newest_requests_are_shown(client: openai.AsyncOpenAI, outside: Any):
    for text in ("one", "two"):
        await chat(client, user(text))
    shown = await outside.get("/control/requests?target=openai&limit=1")
    assert [request["messages"][-1]["content"] for request in shown["requests"]] == ["two"]
