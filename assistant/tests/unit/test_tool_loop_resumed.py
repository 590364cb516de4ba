"""A run that goes on from its journal: the calls of the first time, under their keys, whatever the model
would say now."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, RunResult, ToolLoop
from assistant.src.core.model import AssistantMessage, Message, ToolMessage, UserMessage
from assistant.tests.fakes import FunctionTool, ScriptedBackend, calls, context_of, said

CHOICE = ModelChoice(assistant_id="a", assistant="Secretary", models=("m",), instructions="Be brief.")
NUMBER = {"n": {"type": "integer"}}


class FakeJournal:
    """Implements `Journal`; breaks at the note with the number `breaks_at`."""

    def __init__(self, begun: Sequence[Message] = (), *, breaks_at: int | None = None) -> None:
        self.begun = tuple(begun)
        self.notes: list[tuple[Message, ...]] = []
        self.breaks_at = breaks_at

    async def note(self, messages: Sequence[Message]) -> None:
        if len(self.notes) == self.breaks_at:
            raise RedisConnectionError("gone")
        self.notes.append(tuple(messages))


async def run(
    backend: ScriptedBackend, journal: FakeJournal, *tools: FunctionTool, rounds: int = 8
) -> RunResult:
    loop = ToolLoop(backend, CHOICE, tools, LoopLimits(rounds))
    return await loop.run(UserMessage("hi"), (), context_of(message_id="tg:7"), journal)


def counted() -> FunctionTool:
    return FunctionTool("t", lambda n: f"r{n}", properties=NUMBER, required=("n",))


def keys(tool: FunctionTool) -> list[tuple[str, bool]]:
    return [(context.key, context.repeated) for context in tool.contexts]


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if isinstance(message, ToolMessage)]


async def test_calls_are_noted_before_they_run_and_again_with_their_results():
    journal = FakeJournal()
    noted_before: list[int] = []

    def look() -> str:
        noted_before.append(len(journal.notes))
        return "x"

    tool = FunctionTool("t", look)
    outcome = await run(ScriptedBackend(calls(("t", {})), said("ok")), journal, tool)
    assert noted_before == [1]
    assert journal.notes == [outcome.messages[:2], outcome.messages[:3]]


async def test_what_cannot_be_noted_is_not_run():
    tool = counted()
    with pytest.raises(RedisConnectionError):
        await run(ScriptedBackend(calls(("t", {"n": 1}))), FakeJournal(breaks_at=0), tool)
    assert tool.contexts == []


async def test_a_result_that_is_there_is_not_fetched_again():
    first = FakeJournal()
    await run(ScriptedBackend(calls(("t", {"n": 1})), said("ok")), first, counted())
    tool, moody = counted(), ScriptedBackend(said("now otherwise"))
    outcome = await run(moody, FakeJournal(first.notes[-1]), tool)
    assert tool.contexts == []
    assert tuple(moody.requests[0].messages) == first.notes[-1]
    assert outcome.answer == "now otherwise"


async def test_calls_without_result_run_under_their_old_keys_and_know_it():
    wanted = calls(("t", {"n": 1}), ("t", {"n": 2}), ("t", {"n": 3}))
    made = AssistantMessage("", wanted.tool_calls)
    begun: list[Message] = [UserMessage("before"), made, ToolMessage(wanted.tool_calls[1].id, "was there")]
    tool, journal = counted(), FakeJournal(begun)
    outcome = await run(ScriptedBackend(calls(("t", {"n": 4})), said("ok")), journal, tool)
    assert keys(tool) == [("tg:7:1", True), ("tg:7:3", True), ("tg:7:4", False)]
    assert texts(outcome.messages) == ["r1", "was there", "r3", "r4"]
    assert outcome.messages[0] == UserMessage("before")
    assert journal.notes[0] == outcome.messages[:5]


async def test_rounds_and_repeats_of_the_first_time_count():
    wanted = [calls(("t", {"n": 1})) for _ in range(2)]
    begun: list[Message] = [UserMessage("hi")]
    for answer in wanted:
        (call,) = answer.tool_calls
        begun += [AssistantMessage("", (call,)), ToolMessage(call.id, "r1")]

    def insist(request: Any):
        return said("enough") if request.tool_choice == "none" else calls(("t", {"n": 1}))

    tool = counted()
    outcome = await run(ScriptedBackend(insist), FakeJournal(begun), tool)
    assert tool.contexts == []
    assert "limit" in texts(outcome.messages)[-1]
    spent = ScriptedBackend(insist)
    await run(spent, FakeJournal(begun), counted(), rounds=2)
    assert [request.tool_choice for request in spent.requests] == ["none"]


@pytest.mark.parametrize(
    "bad", [("t", "{broken"), ("t", "[]"), ("functions.t", {"n": 1}), ("gone", {"n": 1}), ("t", {"n": "x"})]
)
async def test_a_call_that_was_refused_is_never_run_by_a_repeat(bad):
    """What stands in the history is tidied, so that it might look like a call that may run."""
    lenient = FunctionTool("t", lambda n=0: f"r{n}", properties=NUMBER)
    dotted = FunctionTool("functions_t", lambda n=0: f"r{n}", properties=NUMBER)
    begun = asyncio.Event()

    async def stuck() -> None:
        begun.set()
        await asyncio.Event().wait()

    slow = FunctionTool("slow", stuck)
    journal = FakeJournal()
    loop = ToolLoop(ScriptedBackend(calls(bad, ("slow", {}))), CHOICE, (lenient, dotted, slow), LoopLimits())
    running = asyncio.create_task(loop.run(UserMessage("hi"), (), context_of(message_id="tg:7"), journal))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    done = FunctionTool("slow", lambda: "done")
    outcome = await run(ScriptedBackend(said("ok")), FakeJournal(journal.notes[-1]), lenient, dotted, done)
    assert lenient.contexts == dotted.contexts == []
    assert keys(done) == [("tg:7:2", True)]
    assert "error" in texts(outcome.messages)[0]


async def test_a_tool_that_is_gone_by_the_time_of_the_repeat_is_answered():
    wanted = calls(("t", {"n": 1}))
    begun: list[Message] = [UserMessage("hi"), AssistantMessage("", wanted.tool_calls)]
    outcome = await run(ScriptedBackend(said("ok")), FakeJournal(begun))
    assert "unknown_tool" in texts(outcome.messages)[0]


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), max_size=4), st.data())
async def test_wherever_a_run_is_cut_its_repeat_ends_like_the_whole(rounds, data):
    """Numbers, results and messages are those of a run that nobody disturbed; nothing with a result is
    run again. (Each round's arguments differ from the other rounds', so that no limit is met.)"""
    script = [calls(*(("t", {"n": 100 * place + n}) for n in some)) for place, some in enumerate(rounds)]
    whole_tool, whole = counted(), FakeJournal()
    outcome = await run(ScriptedBackend(*script, said("ok")), whole, whole_tool)
    if not whole.notes:
        return
    noted = list(data.draw(st.sampled_from(whole.notes)))
    if isinstance(noted[-1], ToolMessage):  # some results of the last round are missing
        last = max(place for place, one in enumerate(noted) if isinstance(one, AssistantMessage))
        kept = data.draw(st.sets(st.sampled_from(range(last + 1, len(noted)))))
        noted = [one for place, one in enumerate(noted) if place <= last or place in kept]
    had = len(texts(noted))
    answered = sum(isinstance(one, AssistantMessage) for one in noted)
    tool = counted()
    again = await run(ScriptedBackend(*script[answered:], said("ok")), FakeJournal(noted), tool)
    assert again.messages == outcome.messages
    assert len(tool.contexts) == len(whole_tool.contexts) - had
    assert {context.key for context in tool.contexts} <= {context.key for context in whole_tool.contexts}
