"""Conversations as the official client sees them."""

import asyncio
import json
from typing import Any

import openai
import pytest

from sandbox.openai.lru import LRUStore

CLOCK: Any = {
    "type": "function",
    "name": "current_time",
    "description": "The time.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"timezone": {"type": "string"}}},
}


async def ask(client: Any, conversation: str, question: Any, **more: Any) -> Any:
    return await client.responses.create(
        model="sandbox-demo", input=question, conversation=conversation, **more
    )


async def test_a_conversation_remembers(client: Any):
    made = await client.conversations.create(metadata={"user": "1"})
    assert made.id.startswith("conv_")
    await ask(client, made.id, "My name is Ada", instructions="You help.")
    again = await ask(client, made.id, "What is my name?")
    assert "**Ada**" in again.output_text
    assert again.conversation.id == made.id
    kept = [item async for item in client.conversations.items.list(made.id, order="asc")]
    assert [(item.type, getattr(item, "role", None)) for item in kept] == [
        ("message", "user"),
        ("message", "assistant"),
    ] * 2
    other = await client.conversations.create()
    assert "Ada" not in (await ask(client, other.id, "What is my name?")).output_text


async def test_a_tool_loop_sends_only_the_outputs(client: Any):
    made = await client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "My name is Ada"}]
    )
    asked = await ask(client, made.id, "What time is it in Tokyo?", tools=[CLOCK])
    [call] = asked.output
    output = {
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": json.dumps({"date": "2026-11-22", "time": "18:30", "timezone": "Asia/Tokyo"}),
    }
    told = await ask(client, made.id, [output], tools=[CLOCK])
    assert "In Tokyo it is **18:30**" in told.output_text
    assert "**Ada**" in (await ask(client, made.id, "What is my name?")).output_text


async def test_an_unanswered_call_blocks_until_it_is_answered(client: Any):
    made = await client.conversations.create()
    [call] = (await ask(client, made.id, "What time is it in Tokyo?", tools=[CLOCK])).output
    with pytest.raises(
        openai.BadRequestError, match=f"No tool output found for function call {call.call_id}"
    ):
        await ask(client, made.id, "hello")
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "error: cancelled"}
    await client.conversations.items.create(made.id, items=[output])
    assert (await ask(client, made.id, "repeat: hi")).output_text == "hi"


async def test_a_second_response_at_once_is_refused(client: Any, outside: Any):
    made = await client.conversations.create()
    await outside.fault(target="openai", kind="stall", after_chunks=3, times=1)
    stalled = await ask(client, made.id, "hello", stream=True)
    async for event in stalled:
        if event.type == "response.output_item.added":
            break
    for attempt in (
        ask(client, made.id, "hello"),
        client.conversations.items.create(made.id, items=[{"role": "user", "content": "x"}]),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            await attempt
        assert (caught.value.code, caught.value.param) == ("conversation_locked", "conversation")
    await stalled.close()
    async with asyncio.timeout(5):
        while True:
            try:
                again = await ask(client, made.id, "repeat: hi")
            except openai.BadRequestError:
                await asyncio.sleep(0.02)
            else:
                break
    assert again.output_text == "hi"
    kept = [item async for item in client.conversations.items.list(made.id)]
    assert len(kept) == 2, "what stalled never took effect"


async def test_a_lost_answer_that_took_effect(client: Any, outside: Any):
    made = await client.conversations.create()
    await outside.fault(target="openai", kind="disconnect", after=True, times=1)
    with pytest.raises(openai.APIConnectionError):
        await ask(client, made.id, "My name is Ada")
    assert "**Ada**" in (await ask(client, made.id, "What is my name?")).output_text


async def test_a_lock_on_order(client: Any, outside: Any):
    made = await client.conversations.create()
    await outside.fault(target="openai", kind="status", status=400, code="conversation_locked", times=1)
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, made.id, "hello")
    assert caught.value.code == "conversation_locked"
    assert "Please retry in a few seconds" in caught.value.message


async def test_what_is_deleted_is_lost(client: Any):
    made = await client.conversations.create()
    deleted = await client.conversations.delete(made.id)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    words = f"Conversation with id '{made.id}' not found."
    with pytest.raises(openai.NotFoundError, match=words):
        await ask(client, made.id, "hello")
    with pytest.raises(openai.NotFoundError, match=words):
        await client.conversations.retrieve(made.id)
    with pytest.raises(openai.NotFoundError, match=words):
        await client.conversations.delete(made.id)


async def test_metadata_is_kept_and_replaced(client: Any):
    made = await client.conversations.create(metadata={"a": "1"})
    await client.conversations.update(made.id, metadata={"b": "2"})
    assert (await client.conversations.retrieve(made.id)).metadata == {"b": "2"}


async def test_items_come_in_pages(client: Any):
    items: Any = [{"role": "user", "content": f"number {n}"} for n in range(7)]
    made = await client.conversations.create(items=items)
    first = await client.conversations.items.list(made.id, limit=3)
    assert [item.content[0].text for item in first.data] == [
        "number 6",
        "number 5",
        "number 4",
    ]
    assert first.has_more
    assert len([item async for item in client.conversations.items.list(made.id, limit=3)]) == 7
    one = first.data[0].id
    assert one is not None
    assert (await client.conversations.items.retrieve(one, conversation_id=made.id)).id == one
    await client.conversations.items.delete(one, conversation_id=made.id)
    with pytest.raises(openai.NotFoundError, match=f"Item with id '{one}' not found"):
        await client.conversations.items.retrieve(one, conversation_id=made.id)
    with pytest.raises(openai.BadRequestError, match="no item with id"):
        await client.conversations.items.list(made.id, after=one)


async def test_more_than_twenty_items_at_once_are_refused(client: Any):
    items: Any = [{"role": "user", "content": "x"}] * 21
    with pytest.raises(openai.BadRequestError, match="maximum length 20"):
        await client.conversations.create(items=items)


async def test_a_reset_forgets(client: Any, outside: Any):
    made = await client.conversations.create()
    await outside.post("/control/reset", {})
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(made.id)


def test_the_one_not_asked_for_the_longest_makes_room():
    store: LRUStore[str] = LRUStore(2, "no {}".format)
    store.put("a", "A")
    store.put("b", "B")
    assert store.get("a") == "A"
    store.put("c", "C")
    assert (store.find("a"), store.find("b"), store.find("c")) == ("A", None, "C")
