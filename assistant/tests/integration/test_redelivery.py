"""A message that is delivered again goes on where its first delivery stopped; no effect happens twice.

The process dies at any point; another one, with nothing but Redis in common, gets the message again. The
model is moody: asked anew, it would call otherwise.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.sub_assistant import SubAssistantLLMChat
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.model import AssistantMessage, ModelAnswer, ModelRequest, ToolMessage
from assistant.src.core.run_context import RunContext
from assistant.src.storage.conversation import ConversationStore
from assistant.src.storage.journal import RunJournal
from assistant.src.tools.base import Arguments, BaseTool
from assistant.src.tools.sub_assistant_tool import SubAssistantTool
from assistant.tests.fakes import ScriptedBackend, assistant_row, calls, context_of, said
from service_kit.contracts.assistants import AssistantRead

pytestmark = pytest.mark.integration

ROOT, BELOW = assistant_row("Secretary"), assistant_row("Planner")


@dataclass
class FarEnd:
    """Where effects happen: it knows idempotency keys, and drops what comes again."""

    asked: list[tuple[str, int]] = field(default_factory=list)
    effects: dict[str, int] = field(default_factory=dict)


@dataclass
class Fate:
    """Ends the process at its `steps`-th step; None: it lives."""

    steps: int | None = None
    taken: int = 0
    process: "asyncio.Task[str] | None" = None

    def step(self) -> None:
        self.taken += 1
        if self.steps is not None and self.taken >= self.steps:
            assert self.process is not None
            self.process.cancel()
            # what runs beside it ends here too: Python 3.11's `wait_for` may swallow a cancellation
            raise asyncio.CancelledError


class Effect(BaseTool):
    """Does something at the far end, which may have happened when the process dies."""

    def __init__(self, far_end: FarEnd, fate: Fate) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        super().__init__(name="effect", description="does it", schema=schema)
        self.far_end = far_end
        self.fate = fate

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        self.fate.step()
        self.far_end.asked.append((context.key, arguments["n"]))
        self.far_end.effects.setdefault(context.key, arguments["n"])
        self.fate.step()
        return f"done {arguments['n']}"


class World:
    """All that outlives a process: Redis, the far end, and the model's moods."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self.store = ConversationStore(redis, retention_s=3600)
        self.far_end = FarEnd()
        self.moods = 0
        self.requests: list[ModelRequest] = []
        self.counted: dict[tuple[str, str], int] = {}
        """Calls of models by run and assistant; as with usage records, the first that is said counts."""

    def mood(self) -> int:
        self.moods += 1
        return self.moods

    def process(self, answer: Callable[[ModelRequest], ModelAnswer], fate: Fate) -> LLMChat:
        """A new process: secretary, sub-assistant and tools, with nothing in memory."""

        async def model(request: ModelRequest) -> ModelAnswer:
            fate.step()
            self.requests.append(request)
            answered = answer(request)
            fate.step()
            return answered

        backend, memories = ScriptedBackend(model), Memories(self.store)
        effect = Effect(self.far_end, fate)

        def made(kind: type[LLMChat], row: Any, *tools: BaseTool) -> LLMChat:
            memory = memories.of(row, backend=backend, tools=tools)
            return kind(row, backend=backend, tools=tools, memory=memory, limits=LoopLimits())

        ask = SubAssistantTool(made(SubAssistantLLMChat, BELOW, effect), name="ask")
        return made(SecretaryLLMChat, ROOT, effect, ask)

    async def deliver(
        self,
        answer: Callable[[ModelRequest], ModelAnswer],
        dies_at: int | None = None,
        *,
        killed: bool = True,
    ) -> str | None:
        """One delivery of the message; None when the process died over it.

        One that is not `killed` says in its last moment what it has used.
        """
        fate = Fate(dies_at)
        secretary = self.process(answer, fate)
        context = context_of(message_id="tg:7")
        fate.process = asyncio.create_task(secretary.process_message("Do it", 1, context))
        async with asyncio.timeout(20):
            await asyncio.wait([fate.process])
        died = fate.process.cancelled()
        for totals in () if died and killed else context.totals.runs:
            for use in totals.uses.values():
                self.counted.setdefault((totals.run, use.assistant_id), use.calls)
        return None if died else fate.process.result()

    async def called(self) -> set[int]:
        """What the stored turns say was done."""
        numbers: set[int] = set()
        for message in [message for row in (ROOT, BELOW) for message in await self.answers(row)]:
            made = [json.loads(call.arguments) for call in message.tool_calls]
            numbers.update(arguments["n"] for arguments in made if "n" in arguments)
        return numbers

    async def answers(self, row: AssistantRead) -> list[AssistantMessage]:
        """What its model said, in the stored turns."""
        past = await self.store.load(1, str(row.id), message_id="-", key="-", asked="-")
        messages = [message for turn in past.turns for message in turn.messages]
        return [message for message in messages if isinstance(message, AssistantMessage)]


def results(request: ModelRequest) -> list[str]:
    """Results in the newest turn."""
    start = max(n for n, message in enumerate(request.messages) if message.role == "user")
    return [message.text for message in request.messages[start:] if isinstance(message, ToolMessage)]


def one_round(world: World) -> Callable[[ModelRequest], ModelAnswer]:
    """Calls once, with another number each time it is asked, then answers."""
    return lambda request: (
        said(f"answer after {results(request)}")
        if results(request)
        else calls(("effect", {"n": world.mood()}))
    )


async def test_a_call_that_was_cut_off_is_run_under_the_same_key(redis_client):
    """Steps: asked, answered, called, (the effect) done, …"""
    world = World(redis_client)
    assert await world.deliver(one_round(world), dies_at=4) is None
    assert world.far_end.effects == {"tg:7:1": 1}
    answer = await world.deliver(one_round(world))
    assert answer == "answer after ['done 1']"
    assert world.far_end.asked == [("tg:7:1", 1), ("tg:7:1", 1)]
    assert world.moods == 1, "the model was not asked anew for calls"


async def test_a_result_that_is_there_is_not_fetched_again(redis_client):
    world = World(redis_client)
    assert await world.deliver(one_round(world), dies_at=5) is None
    assert await world.deliver(one_round(world)) == "answer after ['done 1']"
    assert world.far_end.asked == [("tg:7:1", 1)]
    first, second = world.requests
    assert list(second.messages[: len(first.messages)]) == list(first.messages), "the prompt cache holds"


async def test_a_message_that_was_answered_is_not_run_again(redis_client):
    world = World(redis_client)
    answer = await world.deliver(one_round(world))
    assert await world.deliver(one_round(world)) == answer
    assert (len(world.requests), len(world.far_end.asked)) == (2, 1)
    assert await redis_client.keys("run:*") == []


async def test_the_journal_is_there_before_the_effect_or_the_effect_is_not(redis_client, monkeypatch):
    async def away(*_: object) -> None:
        raise RedisConnectionError("away")

    world = World(redis_client)
    monkeypatch.setattr(RunJournal, "note", away)
    with pytest.raises(RedisConnectionError):
        await world.deliver(one_round(world))
    assert world.far_end.asked == []


def delegating(world: World) -> Callable[[ModelRequest], ModelAnswer]:
    """The secretary does one thing and asks the planner for another; the planner does two, twice."""

    def answer(request: ModelRequest) -> ModelAnswer:
        have = len(results(request))
        if request.instructions == ROOT.instructions:
            ask = ("ask", {"request": f"plan {world.mood()}"})
            return said("all done") if have else calls(("effect", {"n": world.mood()}), ask)
        if have >= 4:
            return said("planned")
        return calls(("effect", {"n": world.mood()}), ("effect", {"n": world.mood()}))

    return answer


async def test_a_sub_assistant_goes_on_too(redis_client):
    world = World(redis_client)
    deaths = 0
    for step in range(1, 40):
        if (answer := await world.deliver(delegating(world), dies_at=step)) is not None:
            break
        deaths += 1
    assert answer == "all done"
    assert deaths > 5
    assert set(world.far_end.effects.values()) == await world.called()
    assert len(world.far_end.effects) == 5
    assert {key.count("/") for key in world.far_end.effects} == {0, 1}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.integers(1, 22), max_size=6))
async def test_wherever_processes_die_each_effect_happens_once(redis_client, deaths):
    await redis_client.flushdb()
    world = World(redis_client)
    answer = None
    for step in (*deaths, None):
        if (answer := await world.deliver(delegating(world), dies_at=step)) is not None:
            break
    assert answer == "all done"
    assert len(world.far_end.effects) == 5
    assert set(world.far_end.effects.values()) == await world.called()
    for key, number in world.far_end.asked:
        assert world.far_end.effects[key] == number, "a repeat asks for the same"
    assert await redis_client.keys("run:*") == []


async def test_what_a_killed_process_has_used_is_counted_by_the_next(redis_client):
    world = World(redis_client)
    assert await world.deliver(one_round(world), dies_at=5) is None
    assert await world.deliver(one_round(world), dies_at=1) is None  # it only hands on what it has read
    assert await world.deliver(one_round(world)) is not None
    assert sum(world.counted.values()) == 2
    assert len({run for run, _ in world.counted}) == 2


async def test_what_a_run_said_itself_before_it_was_cut_off_is_not_counted_again(redis_client):
    world = World(redis_client)
    assert await world.deliver(one_round(world), dies_at=5, killed=False) is None
    assert await world.deliver(one_round(world)) is not None
    assert sum(world.counted.values()) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 22), st.booleans()), max_size=6))
async def test_wherever_processes_die_each_noted_call_of_a_model_is_counted_and_none_twice(
    redis_client, deaths
):
    await redis_client.flushdb()
    world = World(redis_client)
    for step, killed in (*deaths, (None, False)):
        if await world.deliver(delegating(world), dies_at=step, killed=killed) is not None:
            break
    counted = Counter[str]()
    for (_run, assistant_id), number in world.counted.items():
        counted[assistant_id] += number
    for row in (ROOT, BELOW):
        asked = sum(request.instructions == row.instructions for request in world.requests)
        assert counted[str(row.id)] <= asked
    assert counted[str(ROOT.id)] >= len(await world.answers(ROOT))
