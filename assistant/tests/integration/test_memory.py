"""What an assistant remembers and what not: real Redis, a scripted model."""

import asyncio
from itertools import pairwise

import pytest

from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.errors import ModelUnavailableError
from assistant.src.core.model import AssistantMessage, ToolCall, ToolMessage, UserMessage
from assistant.src.core.run_context import RunTotals
from assistant.src.storage.conversation import ConversationStore
from assistant.src.storage.journal import NO_ANSWER, NO_RESULT
from assistant.src.storage.turns import dump_turn, turn_of
from assistant.tests.fakes import FunctionTool, ScriptedBackend, assistant_row, calls, context_of, said
from assistant.tests.unit.test_turns import assert_acceptable
from service_kit.contracts.assistants import ModelSettings

pytestmark = pytest.mark.integration

ROW = assistant_row("Secretary", settings=ModelSettings(history_tokens=1000))
KEY = f"conversation:1:{ROW.id}"


def secretary(redis_client, backend: ScriptedBackend, *tools: FunctionTool) -> LLMChat:
    memory = Memories(ConversationStore(redis_client, retention_s=3600)).of(ROW, backend=backend, tools=tools)
    return SecretaryLLMChat(ROW, backend=backend, tools=tools, memory=memory, limits=LoopLimits())


async def test_an_orphaned_call_in_a_stored_history_never_reaches_a_provider(redis_client):
    """As an older version, or a hand in Redis, may have left it."""
    orphan = turn_of(
        "tg:1",
        "rain?",
        [
            UserMessage("rain?"),
            AssistantMessage("", (ToolCall("a", "weather", "{}"), ToolCall("b", "weather", "{}"))),
            ToolMessage("b", "sunny"),
            ToolMessage("z", "nobody asked"),
            AssistantMessage("", (ToolCall("c", "weather", "{}"),)),
            AssistantMessage("no rain"),
        ],
    )
    await redis_client.rpush(KEY, dump_turn(orphan))
    backend = ScriptedBackend(said("hello"))
    await secretary(redis_client, backend).process_message("hi", 1, context_of(message_id="tg:2"))
    sent = tuple(backend.requests[0].messages)
    assert_acceptable(sent[:-1])
    assert [message.text for message in sent[:-1]] == ["rain?", "", "sunny", "no rain"]


async def test_what_the_tools_of_a_failed_run_did_is_known_to_the_next(redis_client):
    """The user hears that it did not work and asks again: the reminder is there already."""
    remind = FunctionTool("remind", lambda: "reminder 7 made")
    backend = ScriptedBackend(calls(("remind", {})), ModelUnavailableError("500"), said("It is there."))
    assistant = secretary(redis_client, backend, remind)
    with pytest.raises(ModelUnavailableError):
        await assistant.process_message("Remind me", 1, context_of(message_id="tg:1"))
    await assistant.process_message("Remind me", 1, context_of(message_id="tg:2"))
    await assistant.process_message("Thanks", 1, context_of(message_id="tg:3"))
    asked, called, result, note, again = backend.requests[2].messages
    assert asked.text.endswith("Remind me")
    assert isinstance(called, AssistantMessage)
    assert (result.text, note.text) == ("reminder 7 made", NO_ANSWER)
    assert again.text.endswith("Remind me")
    for earlier, later in pairwise(backend.requests[2:]):
        assert list(later.messages[: len(earlier.messages)]) == list(earlier.messages)
    assert await redis_client.keys("run:*") == []


async def test_a_call_that_was_cut_off_for_good_may_have_been_done(redis_client):
    reached = asyncio.Event()

    async def hang() -> str:
        reached.set()
        await asyncio.Event().wait()
        return "never"

    backend = ScriptedBackend(calls(("hang", {}), ("hang", {})), said("Let me look."))
    assistant = secretary(redis_client, backend, FunctionTool("hang", hang, timeout=None))
    run = asyncio.create_task(assistant.process_message("Do it", 1, context_of(message_id="tg:1")))
    await reached.wait()
    run.cancel()
    await asyncio.wait([run])
    await assistant.process_message("Did you?", 1, context_of(message_id="tg:2"))
    sent = tuple(backend.requests[1].messages)
    assert_acceptable(sent[:-1])
    assert [message.text for message in sent[2:4]] == [NO_RESULT, NO_RESULT]


async def test_a_new_conversation_knows_nothing_of_a_run_that_failed(redis_client):
    backend = ScriptedBackend(calls(("t", {})), ModelUnavailableError("500"), said("Hello"))
    assistant = secretary(redis_client, backend, FunctionTool("t", lambda: "x"))
    with pytest.raises(ModelUnavailableError):
        await assistant.process_message("one", 1, context_of(message_id="tg:1"))
    await ConversationStore(redis_client, retention_s=3600).forget(1)
    assert await redis_client.keys("*") == []
    await assistant.process_message("two", 1, context_of(message_id="tg:2"))
    assert len(backend.requests[2].messages) == 1


async def test_an_unfinished_run_is_remembered_once(redis_client):
    """However many runs of the next message find it at the same time."""
    store = ConversationStore(redis_client, retention_s=3600)
    noted = (UserMessage("q"), AssistantMessage("", (ToolCall("c", "t", "{}"),)))
    await store.journal(1, "a", key="tg:1:2", asked="q", begun=(), totals=RunTotals()).note(noted)
    await redis_client.hset("run:1:a", "tg:1:1", b"{not json")
    await asyncio.gather(*(redis_client.ping() for _ in range(8)))  # as many connections: all read at once
    await asyncio.gather(
        *(store.load(1, "a", message_id="tg:2", key=f"tg:2:{n}", asked="x") for n in range(1, 5))
    )
    past = await store.load(1, "a", message_id="tg:2", key="tg:2:1", asked="x")
    assert [turn.key for turn in past.turns] == ["unfinished:tg:1:2"]
    assert 0 < await redis_client.pttl("conversation:1:a") <= 3_600_000


async def test_a_run_that_failed_and_did_nothing_is_not_remembered(redis_client):
    backend = ScriptedBackend(ModelUnavailableError("500"), said("better now"))
    assistant = secretary(redis_client, backend)
    with pytest.raises(ModelUnavailableError):
        await assistant.process_message("one", 1, context_of(message_id="tg:1"))
    assert await assistant.process_message("two", 1, context_of(message_id="tg:2")) == "better now"
    assert len(backend.requests[1].messages) == 1


async def test_a_flood_of_results_pushes_nothing_else_out(redis_client):
    flood = FunctionTool("flood", lambda: "x" * 6000)
    backend = ScriptedBackend(said("first"), calls(("flood", {})), said("that was much"), said("third"))
    assistant = secretary(redis_client, backend, flood)
    for number, text in enumerate(["one", "two", "three"]):
        await assistant.process_message(text, 1, context_of(message_id=f"tg:{number}"))
    texts = [message.text.rsplit("\n", 1)[-1] for message in backend.requests[-1].messages]
    assert texts == ["one", "first", "two", "that was much", "three"]


async def test_an_answer_is_found_again_though_it_is_too_long_to_be_sent_along(redis_client):
    backend = ScriptedBackend(said("long " * 3000), said("another"))
    assistant = secretary(redis_client, backend)
    context = context_of(message_id="tg:1")
    first = await assistant.process_message("tell me all", 1, context)
    assert await assistant.process_message("tell me all", 1, context) == first
    assert len(backend.requests) == 1
