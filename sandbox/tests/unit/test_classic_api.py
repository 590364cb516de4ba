"""The classic protocol as the official client sees it."""

import json
from typing import Any

import openai
import pytest

# the client still speaks the protocol, and says at every call that OpenAI no longer does
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

CLOCK: Any = {
    "type": "function",
    "function": {
        "name": "current_time",
        "description": "The time.",
        "parameters": {"type": "object", "properties": {"timezone": {"type": "string"}}},
    },
}
TIME = json.dumps({"date": "2026-11-22", "time": "18:30", "timezone": "Asia/Tokyo"})


@pytest.fixture
async def beta(client: Any) -> Any:
    return client.beta


@pytest.fixture
async def assistant(beta: Any) -> Any:
    return await beta.assistants.create(
        model="sandbox-demo", name="Jeeves", instructions="You are Jeeves.", tools=[CLOCK]
    )


async def thread_with(beta: Any, text: str) -> str:
    return str((await beta.threads.create(messages=[{"role": "user", "content": text}])).id)


async def texts(beta: Any, thread: str) -> list[str]:
    return [one.content[0].text.value async for one in beta.threads.messages.list(thread, order="asc")]


async def test_an_assistant_is_kept_changed_and_deleted(beta: Any, assistant: Any):
    assert (await beta.assistants.retrieve(assistant.id)).instructions == "You are Jeeves."
    changed = await beta.assistants.update(assistant.id, instructions="You are Hobson.", metadata={"a": "1"})
    assert (changed.name, changed.instructions, changed.metadata) == (
        "Jeeves",
        "You are Hobson.",
        {"a": "1"},
    )
    assert [one.id async for one in beta.assistants.list()] == [assistant.id]
    assert (await beta.assistants.delete(assistant.id)).deleted
    with pytest.raises(openai.NotFoundError, match=f"No assistant found with id '{assistant.id}'"):
        await beta.assistants.retrieve(assistant.id)


async def test_a_run_that_is_polled(beta: Any, assistant: Any, outside: Any):
    await outside.post("/control/model", {"latency": 0.15})
    thread = await thread_with(beta, "Who are you?")
    run = await beta.threads.runs.create(thread, assistant_id=assistant.id)
    assert run.status == "queued"
    assert (await beta.threads.runs.retrieve(run.id, thread_id=thread)).status == "in_progress"
    done = await beta.threads.runs.poll(run.id, thread_id=thread, poll_interval_ms=20)
    assert done.status == "completed"
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0
    [_asked, told] = await texts(beta, thread)
    assert "Jeeves" in told
    [message] = [one async for one in beta.threads.messages.list(thread, run_id=run.id)]
    assert (message.role, message.assistant_id) == ("assistant", assistant.id)


async def test_a_whole_tool_loop(beta: Any, assistant: Any):
    thread = await thread_with(beta, "My name is Ada")
    await beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id)
    await beta.threads.messages.create(thread, role="user", content="What time is it in Tokyo?")
    asked = await beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant.id, poll_interval_ms=10
    )
    assert asked.status == "requires_action"
    [call] = asked.required_action.submit_tool_outputs.tool_calls
    assert json.loads(call.function.arguments) == {"timezone": "Asia/Tokyo"}
    done = await beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=asked.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": call.id, "output": TIME}],
        poll_interval_ms=10,
    )
    assert done.status == "completed"
    assert "In Tokyo it is **18:30**" in (await texts(beta, thread))[-1]
    await beta.threads.messages.create(thread, role="user", content="What is my name?")
    await beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id)
    assert "**Ada**" in (await texts(beta, thread))[-1]


async def test_a_streamed_tool_loop(beta: Any, assistant: Any):
    thread = await thread_with(beta, "What time is it in Tokyo?")
    async with beta.threads.runs.stream(thread_id=thread, assistant_id=assistant.id) as stream:
        events = [event async for event in stream]
        run = await stream.get_final_run()
    assert [event.event for event in events] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.requires_action",
    ]
    [call] = run.required_action.submit_tool_outputs.tool_calls
    outputs: Any = [{"tool_call_id": call.id, "output": TIME}]
    async with beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=thread, tool_outputs=outputs
    ) as stream:
        told = "".join([piece async for piece in stream.text_deltas])
        assert (await stream.get_final_run()).status == "completed"
    assert told == (await texts(beta, thread))[-1]
    assert "**18:30**" in told


async def test_a_thread_with_an_active_run_takes_nothing_else(beta: Any, assistant: Any):
    thread = await thread_with(beta, "What time is it in Tokyo?")
    run = await beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id)
    words = f"Can't add messages to {thread} while a run {run.id} is active."
    with pytest.raises(openai.BadRequestError, match=words):
        await beta.threads.messages.create(thread, role="user", content="x")
    with pytest.raises(openai.BadRequestError, match=f"{thread} already has an active run {run.id}"):
        await beta.threads.runs.create(thread, assistant_id=assistant.id)
    with pytest.raises(openai.BadRequestError, match="Expected tool outputs for call_ids"):
        await beta.threads.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=[])
    assert (await beta.threads.runs.cancel(run.id, thread_id=thread)).status == "cancelling"
    assert (await beta.threads.runs.retrieve(run.id, thread_id=thread)).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match='status "cancelled" do not accept tool outputs'):
        await beta.threads.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=[])
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
        await beta.threads.runs.cancel(run.id, thread_id=thread)
    await beta.threads.messages.create(thread, role="user", content="repeat: hi")
    await beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id)
    assert (await texts(beta, thread))[-1] == "hi"
    assert len((await beta.threads.runs.list(thread)).data) == 2


async def test_what_a_run_says_goes_before_its_assistant(beta: Any, assistant: Any):
    thread = await thread_with(beta, "Who are you?")
    run = await beta.threads.runs.create_and_poll(
        thread_id=thread,
        assistant_id=assistant.id,
        instructions="You are Hobson.",
        additional_instructions='Begin every answer with "Sir,"',
        max_completion_tokens=10,
    )
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
    assert (await texts(beta, thread))[-1].startswith("Sir, I am Hobson")


async def test_what_is_not_there(beta: Any, assistant: Any):
    thread = await thread_with(beta, "hello")
    with pytest.raises(openai.NotFoundError, match="No assistant found with id 'asst_x'"):
        await beta.threads.runs.create(thread, assistant_id="asst_x")
    with pytest.raises(openai.NotFoundError, match="No run found with id 'run_x'"):
        await beta.threads.runs.retrieve("run_x", thread_id=thread)
    assert (await beta.threads.delete(thread)).deleted
    for attempt in (
        beta.threads.retrieve(thread),
        beta.threads.messages.create(thread, role="user", content="x"),
        beta.threads.runs.create(thread, assistant_id=assistant.id),
    ):
        with pytest.raises(openai.NotFoundError, match=f"No thread found with id '{thread}'"):
            await attempt


async def test_the_header_is_needed(client: Any, outside: Any):
    async with outside.session.post(
        f"{outside.url}/openai/v1/threads", json={}, headers={"Authorization": "Bearer x"}
    ) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "invalid_beta"


async def test_a_run_that_fails(beta: Any, assistant: Any, outside: Any):
    thread = await thread_with(beta, "hello")
    await outside.fault(target="openai", kind="fail", method="runs.create", times=1)
    run = await beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id)
    assert (run.status, run.last_error.code) == ("failed", "server_error")
    await outside.fault(target="openai", kind="status", status=500, method="threads", times=1)
    with pytest.raises(openai.InternalServerError):
        await beta.threads.create()


async def test_a_run_goes_on_where_its_stream_breaks(beta: Any, assistant: Any, outside: Any):
    thread = await thread_with(beta, "help")
    await outside.fault(target="openai", kind="truncate", method="runs", times=1, after_chunks=7)
    stream = await beta.threads.runs.create(thread, assistant_id=assistant.id, stream=True)
    assert len([event async for event in stream]) == 7
    assert "demonstration model" in (await texts(beta, thread))[-1]
