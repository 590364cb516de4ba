"""The law of dialogues: whatever goes wrong, the provider's conversation says what our turns say."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import redis.asyncio as aioredis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assistant.src.assistants.dialogue import Dialogue
from assistant.src.assistants.openai_services import OpenAIServices
from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, ToolLoop
from assistant.src.core.errors import ModelError
from assistant.src.core.model import AssistantMessage, UserMessage
from assistant.src.core.thread_backend import Identity
from assistant.src.storage.provider_threads import KnownThread, ProviderThreads
from assistant.src.storage.turns import Turn, turn_of
from assistant.tests.fakes import FunctionTool, context_of, openai_services
from assistant.tests.openai_standin import OpenAIStandIn, Says, calls, text_of
from assistant.tests.standin import Reply, error

TROUBLE: dict[str, Reply | Says] = {
    "limit": error(429, retry_after="0"),
    "down": error(503),
    "locked": error(400, code="conversation_locked", message="Another process is operating on it."),
    "too long": error(400, code="context_length_exceeded", message="too long"),
    "rubbish": Reply(b"<html>"),
    "failed": Says(failure=("server_error", "boom")),
    "cut": Says(calls=(("now", "{"),), status="incomplete"),
    "insists": Says("Let me see", calls=(("now", {}),)),
}


class Threads(ProviderThreads):
    """As the real ones, in memory; rest_service is there or not."""

    def __init__(self) -> None:
        self.known: KnownThread | None = None

    async def take(self, user_id: int, assistant_id: str) -> KnownThread | None:
        known, self.known = self.known, None
        return known

    async def save(self, user_id: int, assistant_id: str, known: KnownThread) -> None:
        self.known = known

    async def create(self, user_id: int, assistant_id: str, *, create: Any, delete: Any) -> Any:
        return SimpleNamespace(id=uuid4(), thread_id=await create(), last_used=None)


class Talk:
    """One user's conversation, with what is stored of it."""

    def __init__(self, provider: OpenAIStandIn, services: OpenAIServices) -> None:
        self.provider = provider
        self.services = services
        self.threads = Threads()
        self.turns: tuple[Turn, ...] = ()
        tools = [FunctionTool("now", lambda: "12:00")]
        choice = ModelChoice("a", "A", ("openai/m",), "Be brief.")
        self.loop = ToolLoop(services.stateless, choice, tools, LoopLimits())

    async def say(self, number: int) -> None:
        """One message; what fails leaves no turn."""
        backend = self.services.thread_backend("openai", Identity("a", "A"))
        assert backend is not None
        dialogue = Dialogue(
            self.threads,
            backend,
            self.services.stateless,
            self.services.retrying,
            user_id=1,
            assistant_id="a",
            model="m",
            known=await self.threads.take(1, "a"),
        )
        opening = UserMessage(f"m{number}")
        try:
            outcome = await self.loop.run(opening, self.turns, context_of(), backend=dialogue)
        except ModelError:
            return
        self.turns = (*outcome.history, turn_of(f"k{number}", opening.text, outcome.messages))
        await dialogue.save_thread()
        if self.threads.known is not None:
            held = self.provider.conversations[self.threads.known.thread_id]
            assert [text_of(item) for item in held] == self.told()

    def told(self) -> list[str]:
        """What our turns say."""
        texts = []
        for message in (message for turn in self.turns for message in turn.messages):
            if message.text:
                texts.append(message.text)
            if isinstance(message, AssistantMessage):
                texts += [f"{call.name}()" for call in message.tool_calls]
        return texts


happenings = st.lists(
    st.sampled_from(["said", "called", "lost", "restart", *TROUBLE]), min_size=1, max_size=12
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(happenings, min_size=2, max_size=5))
@example(messages=[["insists"] * 4, ["said"]])
def test_the_provider_holds_what_we_hold(messages):
    asyncio.run(conversed(messages))


async def conversed(messages: list[list[str]]) -> None:
    provider = OpenAIStandIn(Says("!"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(provider)
        services = openai_services(aioredis.Redis(), url=provider.url)
        assert services.provider is not None
        await stack.enter_async_context(aclosing(services.provider))
        talk = Talk(provider, services)
        for number, happening in enumerate(messages):
            provider.asked.clear()
            wanted = {**TROUBLE, "called": calls(("now", {}))}
            provider.steps = [*(wanted.get(name, Says(f"a{number}")) for name in happening), Says("end")]
            if "lost" in happening:
                provider.conversations.clear()
            if "restart" in happening:
                await talk.threads.take(1, "a")
            await talk.say(number)


async def test_a_conversation_that_began_otherwise_is_not_continued():
    """Its turns are fewer than ours, and not ours."""
    provider = OpenAIStandIn(Says("!"))
    async with provider:
        services = openai_services(aioredis.Redis(), url=provider.url)
        assert services.provider is not None
        async with aclosing(services.provider):
            talk = Talk(provider, services)
            for number in range(2):
                await talk.say(number)
            talk.turns = (
                replace(talk.turns[0], messages=(UserMessage("other"), AssistantMessage("!"))),
                *talk.turns[1:],
            )
            await talk.say(2)
    assert len(provider.conversations) == 2
    assert talk.told()[0] == "other"
