"""What a provider's prompt cache sees: each request begins with the one before, byte for byte."""

import json
from collections.abc import Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.sub_assistant import SubAssistantLLMChat
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.chat.request import request_body
from assistant.src.core.model import ModelAnswer, ModelRequest, ToolMessage
from assistant.src.core.providers.quirks import Quirks
from assistant.src.core.run_context import RunContext
from assistant.src.storage.conversation import ConversationStore
from assistant.src.tools.sub_assistant_tool import SubAssistantTool
from assistant.src.tools.time_tool import TimeTool
from assistant.tests.fakes import ScriptedBackend, assistant_row, calls, context_of, said
from service_kit.testing.clock import FakeClock

pytestmark = pytest.mark.integration

ROOT, BELOW = assistant_row("Secretary"), assistant_row("Planner")
BERLIN = ZoneInfo("Europe/Berlin")


def answer(request: ModelRequest) -> ModelAnswer:
    """Every second message needs tools, and both assistants use them."""
    newest = request.messages[-1]
    if isinstance(newest, ToolMessage):
        return said(f"So it is: {newest.text}")
    if "tools" not in newest.text:
        return said("Good.")
    clock = ("current_time", {"timezone": "Asia/Tokyo"})
    below = ("ask", {"request": f"tools, please: {len(request.messages)}"})
    return calls(clock, below) if request.instructions == ROOT.instructions else calls(clock)


def bodies(backend: ScriptedBackend, instructions: str) -> Iterator[dict[str, object]]:
    for request in backend.requests:
        if request.instructions == instructions:
            yield request_body("m", request, Quirks())


async def test_each_request_begins_with_the_one_before(redis_client):
    store, clock = ConversationStore(redis_client, retention_s=3600), FakeClock()
    backend = ScriptedBackend(answer)

    async def say(text: str, number: int) -> None:
        # built anew each time, as after a change of the configuration or in another replica
        memories = Memories(store)
        tools = [TimeTool()]
        sub = SubAssistantLLMChat(
            BELOW,
            backend=backend,
            tools=tools,
            memory=memories.of(BELOW, backend=backend, tools=tools),
            limits=LoopLimits(),
        )
        linked = [SubAssistantTool(sub, name="ask"), *tools]
        secretary = SecretaryLLMChat(
            ROOT,
            backend=backend,
            tools=linked if number % 2 else linked[::-1],
            memory=memories.of(ROOT, backend=backend, tools=linked),
            limits=LoopLimits(),
        )
        base = context_of(message_id=f"tg:{number}", name="Ada", timezone=BERLIN, timezone_known=True)
        context = RunContext(
            user=base.user,
            message_id=base.message_id,
            deadline=base.deadline,
            tools_until=base.tools_until,
            clock=clock,
        )
        await secretary.process_message(text, 1, context)

    for number in range(6):
        await say("use tools" if number % 2 else "hello", number)
        clock.move(hours=7, minutes=13)

    for instructions, least in ((ROOT.instructions, 9), (BELOW.instructions, 6)):
        sent = list(bodies(backend, instructions))
        assert len(sent) >= least
        for earlier, later in pairwise(sent):
            start = json.dumps({"model": "m", "messages": earlier["messages"]}, ensure_ascii=False)
            assert json.dumps(later, ensure_ascii=False).startswith(start.removesuffix("]}"))
            assert json.dumps(later["tools"]) == json.dumps(earlier["tools"])


async def test_the_time_stands_in_the_newest_message_and_nowhere_before(redis_client):
    store, clock = ConversationStore(redis_client, retention_s=3600), FakeClock()
    backend = ScriptedBackend(said("Good."))
    memory = Memories(store).of(ROOT, backend=backend, tools=())
    secretary = SecretaryLLMChat(ROOT, backend=backend, tools=(), memory=memory, limits=LoopLimits())
    for number in range(2):
        base = context_of(message_id=f"tg:{number}", name="Ada", timezone=BERLIN, timezone_known=True)
        context = RunContext(
            user=base.user,
            message_id=base.message_id,
            deadline=base.deadline,
            tools_until=base.tools_until,
            clock=clock,
        )
        await secretary.process_message("hi", 1, context)
        clock.move(days=1)
    first, second = backend.requests
    assert first.instructions == second.instructions == ROOT.instructions
    assert "now: 2026-11-22 13:00, Sunday\ntimezone: Europe/Berlin (UTC+01:00)" in first.messages[-1].text
    assert "now: 2026-11-23 13:00, Monday" in second.messages[-1].text
    assert second.messages[0] == first.messages[0]
