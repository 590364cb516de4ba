"""The oldest turns of a conversation become a summary: real Redis, an assistant, a scripted model."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import redis.asyncio as aioredis

from assistant.src.assistants import compaction as compaction_module
from assistant.src.assistants.compaction import Compactor
from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.summarizer import INSTRUCTIONS
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.errors import ContextOverflowError, ModelUnavailableError, UnknownProviderError
from assistant.src.core.model import AssistantMessage, ModelAnswer, ModelRequest, UserMessage
from assistant.src.core.run_context import RunTotals
from assistant.src.storage.conversation import Conversation, ConversationStore
from assistant.src.storage.window import HARD_LIMIT
from assistant.tests.fakes import ScriptedBackend, assistant_row, context_of, said
from service_kit.contracts.assistants import ModelSettings
from service_kit.contracts.usage import UsageKind

pytestmark = pytest.mark.integration

BUDGET = 1000
QUESTION = "Tell me more, please. ".ljust(300, ".")
"""With its answer and the block of context a turn of about 150 tokens."""


@dataclass
class Costs:
    """Stands in the place of the usage log."""

    noted: list[tuple[int, str, UsageKind, int]] = field(default_factory=list)

    async def record(
        self, *, user_id: int, message_id: str, totals: RunTotals, kind: UsageKind, run: str
    ) -> None:
        assert run
        self.noted.append((user_id, message_id, kind, totals.model_calls))


class Talker:
    """One user's talk with one assistant, in one process."""

    def __init__(self, redis: aioredis.Redis, backend: ScriptedBackend) -> None:
        self.store = ConversationStore(redis, retention_s=3600)
        self.costs = Costs()
        self.compactor = Compactor(self.store, self.costs.record)
        self.backend = backend
        self.row = assistant_row(settings=ModelSettings(history_tokens=BUDGET))
        self.number = 0

    def assistant(self, window: int | None = None) -> LLMChat:
        memories = Memories(self.store, compactor=self.compactor, context_tokens=lambda _: window)
        memory = memories.of(self.row, backend=self.backend, tools=())
        return SecretaryLLMChat(self.row, backend=self.backend, tools=(), memory=memory, limits=LoopLimits())

    async def say(self, times: int = 1, text: str = QUESTION, *, wait: bool = True) -> None:
        for _ in range(times):
            self.number += 1
            await self.assistant().process_message(text, 1, context_of(message_id=f"tg:{self.number}"))
            if wait:
                await self.compactor.wait_idle()

    async def past(self) -> Conversation:
        return await self.store.load(1, str(self.row.id), message_id="-", key="-", asked="-")

    @property
    def answers(self) -> list[ModelRequest]:
        return [request for request in self.backend.requests if request.instructions != INSTRUCTIONS]

    @property
    def compactions(self) -> list[ModelRequest]:
        return [request for request in self.backend.requests if request.instructions == INSTRUCTIONS]


Answering = Callable[[ModelRequest], ModelAnswer | Awaitable[ModelAnswer]]


def answered(request: ModelRequest) -> ModelAnswer:
    return said(f"Answer to message {len(request.messages)}. ".ljust(200, "."))


def model(notes: Answering, answer: Answering = answered) -> ScriptedBackend:
    """Writes notes by the one, answers by the other."""
    return ScriptedBackend(
        lambda request: (notes if request.instructions == INSTRUCTIONS else answer)(request)
    )


def numbered_notes() -> Callable[[ModelRequest], ModelAnswer]:
    count = 0

    def notes(_: ModelRequest) -> ModelAnswer:
        nonlocal count
        count += 1
        return said(f"notes no. {count}")

    return notes


async def test_the_model_sees_notes_instead_of_what_fell_out(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    await talker.say(1, "My name is Ada. ".ljust(300, "."))
    while not talker.compactions:
        await talker.say()
    asked = json.loads(talker.compactions[0].messages[0].text)
    assert asked["notes"] == ""
    assert "My name is Ada." in asked["conversation"][0]["person"]
    await talker.say()
    first, second, *rest = talker.answers[-1].messages
    assert isinstance(first, UserMessage)
    assert "notes no. 1" in first.text
    assert isinstance(second, AssistantMessage)
    assert all("My name is Ada." not in message.text for message in rest)
    past = await talker.past()
    assert past.summary is not None
    assert past.summary.turns + len(past.turns) == talker.number


async def test_notes_are_kept_and_continued_not_written_anew(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    await talker.say(30)
    count = len(talker.compactions)
    assert 3 <= count <= 30 * 160 / (BUDGET * 0.4)
    told = [json.loads(request.messages[0].text)["notes"] for request in talker.compactions]
    assert told == ["", *(f"notes no. {number}" for number in range(1, count))]
    past = await talker.past()
    assert past.summary is not None
    assert past.summary.turns + len(past.turns) == 30


async def test_between_two_compactions_each_request_begins_with_the_one_before(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    begun_anew = 0
    await talker.say()
    for _ in range(30):
        await talker.say()
        before, after = talker.answers[-2:]
        if list(after.messages[: len(before.messages)]) != list(before.messages):
            begun_anew += 1
    assert begun_anew == len(talker.compactions) - (talker.backend.requests[-1].instructions == INSTRUCTIONS)


async def test_no_answer_waits_for_notes(redis_client):
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow() -> ModelAnswer:
        begun.set()
        await release.wait()
        return said("notes")

    talker = Talker(redis_client, model(lambda _: slow()))
    async with asyncio.timeout(15):
        await talker.say(10, wait=False)
        await begun.wait()
    assert len(talker.compactions) == 1, "one at a time for a conversation"
    assert (await talker.past()).summary is None
    release.set()
    await talker.compactor.wait_idle()
    past = await talker.past()
    assert past.summary is not None
    assert past.summary.turns + len(past.turns) == 10


async def test_without_a_model_for_notes_nothing_is_lost_up_to_the_hard_limit(redis_client):
    def away(_: ModelRequest) -> ModelAnswer:
        raise ModelUnavailableError("500")

    talker = Talker(redis_client, model(away))
    kept = 0
    while len((await talker.past()).turns) == kept:
        await talker.say()
        kept += 1
    total = sum(turn.tokens for turn in (await talker.past()).turns)
    assert total <= BUDGET
    assert kept * 160 > BUDGET * HARD_LIMIT
    assert len(talker.compactions) > 1, "tried again with each message"
    assert len(talker.answers[-1].messages) == 2 * (kept - 1) + 1, "all that is kept is sent"


async def test_what_overflowed_the_model_is_compacted_and_the_summary_stays_longest(redis_client):
    def small(request: ModelRequest) -> ModelAnswer:
        if len(request.messages) > 5:
            raise ContextOverflowError("too long")
        return said("ok")

    talker = Talker(redis_client, model(numbered_notes(), small))
    await talker.say(3)
    assert talker.compactions == []
    await talker.say()
    assert len(talker.compactions) == 1
    past = await talker.past()
    assert past.summary is not None
    assert past.summary.turns == 2
    await talker.say(3)
    assert all("notes no." in request.messages[0].text for request in talker.answers[-2:])


async def test_what_notes_cost_is_told(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    while not talker.compactions:
        await talker.say()
    assert talker.costs.noted == [(1, f"tg:{talker.number}", UsageKind.SUMMARY, 1)]


async def test_two_processes_compact_a_conversation_once(redis_client):
    together = asyncio.Barrier(2)

    async def notes() -> ModelAnswer:
        await together.wait()
        return said("notes")

    one, two = (Talker(redis_client, model(lambda _: notes())) for _ in range(2))
    two.row = one.row
    while not one.compactions:
        await one.say(wait=False)
        await asyncio.sleep(0)
    two.number = one.number
    await two.say(wait=False)
    async with asyncio.timeout(10):
        await one.compactor.wait_idle()
        await two.compactor.wait_idle()
    past = await one.past()
    assert past.summary is not None
    assert past.summary.turns + len(past.turns) == two.number
    assert len(one.compactions) == len(two.compactions) == 1


async def test_at_the_end_of_the_service_notes_at_work_are_given_time_and_then_given_up(
    redis_client, monkeypatch
):
    monkeypatch.setattr(compaction_module, "DRAIN", 0.05)

    async def stuck() -> ModelAnswer:
        await asyncio.Event().wait()
        return said("never")

    talker = Talker(redis_client, model(lambda _: stuck()))
    while not talker.compactions:
        await talker.say(wait=False)
        await asyncio.sleep(0)
    count = len((await talker.past()).turns)
    await talker.compactor.drain()
    await talker.compactor.wait_idle()
    past = await talker.past()
    assert (past.summary, len(past.turns)) == (None, count)
    await talker.say(2)
    assert len(talker.compactions) == 1, "nothing is begun after the end"


async def test_a_compaction_has_a_deadline(redis_client, monkeypatch):
    monkeypatch.setattr(compaction_module, "DEADLINE", 0.05)

    async def stuck() -> ModelAnswer:
        await asyncio.Event().wait()
        return said("never")

    talker = Talker(redis_client, model(lambda _: stuck()))
    async with asyncio.timeout(10):
        while len(talker.compactions) < 2:
            await talker.say()
    past = await talker.past()
    assert (past.summary, len(past.turns)) == (None, talker.number), "given up, and nothing lost"


async def test_a_bug_ends_no_other_compaction(redis_client):
    steps = iter([ValueError("a bug")])

    def notes(_: ModelRequest) -> ModelAnswer:
        if (bug := next(steps, None)) is not None:
            raise bug
        return said("notes")

    talker = Talker(redis_client, model(notes))
    while len(talker.compactions) < 2:
        await talker.say()
    assert (await talker.past()).summary is not None


async def test_a_model_with_a_small_window_gets_what_fits(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    talker.row = assistant_row(settings=ModelSettings(history_tokens=BUDGET, max_output_tokens=100))
    assistant = talker.assistant(window=700)
    for number in range(12):
        await assistant.process_message(QUESTION, 1, context_of(message_id=f"tg:{number}"))
        await talker.compactor.wait_idle()
    assert talker.compactions
    for request in talker.answers:
        size = sum(len(message.text) for message in request.messages) / 4
        assert size + 100 <= 700
    with pytest.raises(ContextOverflowError):
        await assistant.process_message("x" * 3000, 1, context_of(message_id="tg:99"))
    assert len(talker.answers) == 12


async def test_a_window_without_room_for_memory_costs_no_summaries(redis_client):
    talker = Talker(redis_client, model(numbered_notes()))
    talker.row = assistant_row(instructions="x" * 2000)
    assistant = talker.assistant(window=1000)
    for number in range(6):
        await assistant.process_message(QUESTION, 1, context_of(message_id=f"tg:{number}"))
        await talker.compactor.wait_idle()
    assert talker.compactions == []
    assert len((await talker.past()).turns) <= 2
    assert all(len(request.messages) <= 3 for request in talker.answers)


async def test_a_provider_that_nobody_set_up_has_no_window_and_is_no_obstacle(redis_client):
    def unknown(model: str) -> int | None:
        raise UnknownProviderError(model)

    memories = Memories(ConversationStore(redis_client, retention_s=3600), context_tokens=unknown)
    memory = memories.of(assistant_row(), backend=ScriptedBackend(said("hi")), tools=())
    assistant = SecretaryLLMChat(
        assistant_row(), backend=ScriptedBackend(said("hi")), tools=(), memory=memory, limits=LoopLimits()
    )
    assert await assistant.process_message("Hello", 1, context_of()) == "hi"
