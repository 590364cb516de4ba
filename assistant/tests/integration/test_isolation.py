"""No text of one user ever reaches another: the same assistants and tools, many users at once.

The model repeats every mark that it is shown, so that a leak would spread and be seen.
"""

import asyncio
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assistant.src.assistants.compaction import Compactor
from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.sub_assistant import SubAssistantLLMChat
from assistant.src.assistants.summarizer import INSTRUCTIONS
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.model import AssistantMessage, ModelAnswer, ModelRequest, ToolMessage
from assistant.src.core.run_context import RunContext
from assistant.src.storage.conversation import ConversationStore
from assistant.src.tools.base import Arguments, BaseTool
from assistant.src.tools.sub_assistant_tool import SubAssistantTool
from assistant.tests.fakes import ScriptedBackend, assistant_row, calls, context_of, said
from assistant.tests.integration.test_compaction import Costs
from service_kit.contracts.assistants import ModelSettings

pytestmark = pytest.mark.integration

USERS = range(1, 5)
TIGHT = ModelSettings(history_tokens=256)
"""So that conversations are compacted after a few messages."""
MARK = re.compile(r"mark-of-(\d)")


LONG = [(user, "tools") for _ in range(6) for user in USERS]


def marks(request: ModelRequest) -> set[str]:
    texts = [message.text for message in request.messages]
    texts += [
        call.arguments
        for message in request.messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    ]
    return set(MARK.findall("\n".join(texts)))


class Diary(BaseTool):
    """One object for all; what it gives is the asker's."""

    def __init__(self) -> None:
        schema = {"type": "object", "properties": {"entry": {"type": "string"}}}
        super().__init__(name="diary", description="the user's diary", schema=schema)

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        await asyncio.sleep(0)
        return f"diary with mark-of-{context.user.id}, and {arguments.get('entry', 'nothing')}"


async def model(request: ModelRequest) -> ModelAnswer:
    await asyncio.sleep(0)
    seen = " ".join(f"mark-of-{mark}" for mark in sorted(marks(request)))
    if request.instructions == INSTRUCTIONS:
        return said(f"notes: {seen}")
    newest = request.messages[-1]
    if isinstance(newest, ToolMessage) or "tools" not in newest.text:
        return said(f"answer: {seen}".ljust(120, "."))
    below = [("ask", {"request": f"tools for {seen}"})] if request.instructions.endswith("Secretary.") else []
    return calls(("diary", {"entry": seen}), *below)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(st.sampled_from(USERS), st.sampled_from(["talk", "tools", "new"])), min_size=8, max_size=40
    )
)
@example(LONG)
async def test_no_user_ever_sees_anything_of_another(redis_client, script):
    await redis_client.flushdb()
    backend, costs = ScriptedBackend(model), Costs()
    store = ConversationStore(redis_client, retention_s=3600)
    compactor = Compactor(store, costs.record)
    memories = Memories(store, compactor=compactor)

    def made(kind: type[LLMChat], name: str, *tools: BaseTool) -> LLMChat:
        row = assistant_row(name, settings=TIGHT)
        memory = memories.of(row, backend=backend, tools=tools)
        return kind(row, backend=backend, tools=tools, memory=memory, limits=LoopLimits())

    diary = Diary()
    below = made(SubAssistantLLMChat, "Planner", diary)
    secretary = made(SecretaryLLMChat, "Secretary", diary, SubAssistantTool(below, name="ask"))

    async def talk(user: int) -> None:
        for number, (who, what) in enumerate(script):
            if who != user:
                continue
            if what == "new":
                await store.forget(user)
                continue
            # the same message ids for all: not even they may bring two users together
            context = context_of(user, message_id=f"tg:{number % 7}:{number}", name=f"mark-of-{user}")
            answer = await secretary.process_message(f"mark-of-{user} {what}", user, context)
            assert set(MARK.findall(answer)) == {str(user)}

    await asyncio.gather(*(talk(user) for user in USERS))
    await compactor.wait_idle()
    for request in backend.requests:
        assert len(marks(request)) == 1, request
    if script == LONG:
        assert {user for user, _, _, _ in costs.noted} == set(USERS), "everybody's conversation was compacted"


async def test_the_same_message_id_of_two_users_is_two_messages(redis_client):
    backend = ScriptedBackend(model)
    memory = Memories(ConversationStore(redis_client, retention_s=3600))
    row = assistant_row("Secretary")
    diary = Diary()
    secretary = SecretaryLLMChat(
        row,
        backend=backend,
        tools=[diary],
        memory=memory.of(row, backend=backend, tools=[diary]),
        limits=LoopLimits(),
    )
    answers = await asyncio.gather(
        *(
            secretary.process_message(
                "tools", user, context_of(user, message_id="tg:1", name=f"mark-of-{user}")
            )
            for user in USERS
        )
    )
    assert [MARK.findall(answer)[0] for answer in answers] == [str(user) for user in USERS]
