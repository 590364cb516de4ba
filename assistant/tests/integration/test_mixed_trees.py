"""Secretaries and sub-assistants of different types and models, each over its own protocol."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
import redis.asyncio as aioredis

from assistant.src.assistants.base import BaseAssistant
from assistant.src.assistants.factory import AssistantFactory, Limits
from assistant.src.assistants.memory import Memories
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.src.storage.conversation import ConversationStore
from assistant.tests.fakes import (
    ScriptedBackend,
    assistant_row,
    calls,
    context_of,
    openai_services,
    said,
    tool_row,
    tool_services,
    tree_of,
)
from assistant.tests.openai_standin import OpenAIStandIn, Says, text_of
from assistant.tests.openai_standin import calls as asks

pytestmark = pytest.mark.integration

LLM = {"assistant_type": "llm", "model": "other/large"}
OPENAI = {"assistant_type": "openai_api", "model": "openai/small"}

Build = Callable[..., Any]


@pytest.fixture
async def build(redis_client: aioredis.Redis) -> AsyncIterator[Build]:
    async with AsyncExitStack() as stack:

        async def make(tree: Any, chat: ScriptedBackend, provider: OpenAIStandIn) -> BaseAssistant:
            await stack.enter_async_context(provider)
            openai = openai_services(redis_client, url=provider.url, protocol=OpenAIProtocol.RESPONSES)
            assert openai.provider is not None
            await stack.enter_async_context(aclosing(openai.provider))
            return AssistantFactory(
                backend=chat,
                openai=openai,
                memories=Memories(ConversationStore(redis_client, retention_s=3600)),
                limits=Limits(),
                services=tool_services(),
            ).create_main_assistant(tree)

        yield make


def family(root: dict[str, Any], sub: dict[str, Any]) -> Any:
    above, below = assistant_row("Above", **root), assistant_row("Below", **sub)
    asking = tool_row("ask_below", "sub_assistant", assistant_id=below.id)
    return tree_of(above, below, tools={above.id: [asking]})


async def test_an_llm_secretary_asks_an_openai_api_assistant(build):
    chat = ScriptedBackend(calls(("ask_below", {"request": "Dig!"})), said("Done"))
    provider = OpenAIStandIn(Says("Dug"))
    secretary = await build(family(LLM, OPENAI), chat, provider)
    context = context_of()
    assert await secretary.process_message("Have it dug", 1, context) == "Done"
    assert [request.models for request in chat.requests] == [("other/large",)] * 2
    assert chat.requests[1].messages[-1].text == "Dug"
    (body,) = provider.asked
    assert (body["model"], text_of(body["input"][0])) == ("small", "Dig!")
    assert "Have it dug" not in str(body)
    uses = {(use.assistant, use.model): use.calls for use in context.totals.uses.values()}
    assert uses == {("Above", "scripted"): 2, ("Below", "openai/small"): 1}


async def test_an_openai_api_secretary_asks_an_llm_assistant(build):
    chat = ScriptedBackend(said("Dug"))
    provider = OpenAIStandIn(asks(("ask_below", {"request": "Dig!"})), Says("Done"))
    secretary = await build(family(OPENAI, LLM), chat, provider)
    context = context_of()
    assert await secretary.process_message("Have it dug", 1, context) == "Done"
    assert [request.models for request in chat.requests] == [("other/large",)]
    assert provider.asked[1]["input"][-1]["output"] == "Dug"
    uses = {(use.assistant, use.model): use.calls for use in context.totals.uses.values()}
    assert uses == {("Above", "openai/small"): 2, ("Below", "scripted"): 1}


async def test_a_failing_sub_assistant_of_another_type_is_told_to_the_one_above(build):
    chat = ScriptedBackend(calls(("ask_below", {"request": "Dig!"})), said("It cannot dig today"))
    provider = OpenAIStandIn(Says(failure=("invalid_prompt", "secret reason")))
    secretary = await build(family(LLM, OPENAI), chat, provider)
    assert await secretary.process_message("Have it dug", 1, context_of()) == "It cannot dig today"
    told = chat.requests[1].messages[-1].text
    assert "Below cannot answer" in told
    assert "secret" not in told
