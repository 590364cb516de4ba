"""What a sub-assistant has done is told by whoever answers the user: over levels, and over a redelivery."""

import asyncio
from typing import Any

import pytest

from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.sub_assistant import SubAssistantLLMChat
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.errors import ModelUnavailableError
from assistant.src.core.model import ModelRequest, ToolMessage
from assistant.src.core.run_context import RunContext
from assistant.src.storage.conversation import ConversationStore
from assistant.src.tools.base import Arguments
from assistant.src.tools.sub_assistant_tool import SubAssistantTool
from assistant.tests.fakes import ScriptedBackend, assistant_row, calls, context_of, said
from assistant.tests.unit.test_receipts import SAVED, EffectTool

pytestmark = pytest.mark.integration

SECRETARY, PLANNER = assistant_row("Secretary"), assistant_row("Planner")


class Crash(BaseException):
    """Nobody survives it."""


class CrashingTool(SubAssistantTool):
    """The process dies when the sub-assistant has answered."""

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        await super().execute(arguments, context)
        raise Crash


def secretary(
    redis_client: Any, backend: ScriptedBackend, kind_of_tool: type[SubAssistantTool] = SubAssistantTool
) -> tuple[LLMChat, EffectTool]:
    """A secretary over a planner that can save, both with memories in Redis."""
    memories = Memories(ConversationStore(redis_client, retention_s=3600))
    save = EffectTool("save", lambda: "ok")

    def made(kind: Any, row: Any, tool: Any) -> LLMChat:
        memory = memories.of(row, backend=backend, tools=[tool])
        assistant: LLMChat = kind(row, backend=backend, tools=[tool], memory=memory, limits=LoopLimits())
        return assistant

    planner = made(SubAssistantLLMChat, PLANNER, save)
    return made(SecretaryLLMChat, SECRETARY, kind_of_tool(planner, name="ask_planner")), save


def is_planner(request: ModelRequest) -> bool:
    return request.instructions == "You are Planner."


def has_results(request: ModelRequest) -> bool:
    return isinstance(request.messages[-1], ToolMessage)


async def hang() -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize("planner_answers", [True, False])
async def test_it_is_told_when_the_secretary_fails(redis_client, planner_answers):
    def model(request: ModelRequest) -> Any:
        if not has_results(request):
            return calls(("save", {}) if is_planner(request) else ("ask_planner", {"request": "save it"}))
        if is_planner(request) and planner_answers:
            return said("It is saved.")
        raise ModelUnavailableError("500")

    assistant, save = secretary(redis_client, ScriptedBackend(model))
    answer = await assistant.process_message("save", 1, context_of())
    assert answer.count(SAVED) == 1
    assert len(save.contexts) == 1


async def test_the_secretary_hears_what_a_sub_assistant_did_that_could_not_answer(redis_client):
    def model(request: ModelRequest) -> Any:
        if not has_results(request):
            return calls(("save", {}) if is_planner(request) else ("ask_planner", {"request": "save it"}))
        if is_planner(request):
            raise ModelUnavailableError("500")
        return said(f"It said: {request.messages[-1].text}")

    assistant, _ = secretary(redis_client, ScriptedBackend(model))
    assert SAVED in await assistant.process_message("save", 1, context_of())


async def test_it_is_told_when_the_sub_assistant_runs_out_of_time(redis_client):
    def model(request: ModelRequest) -> Any:
        if not has_results(request):
            return calls(("save", {}) if is_planner(request) else ("ask_planner", {"request": "save it"}))
        return hang() if is_planner(request) else said(f"It said: {request.messages[-1].text}")

    assistant, _ = secretary(redis_client, ScriptedBackend(model))
    assert SAVED in await assistant.process_message("save", 1, context_of(seconds=4.0))


async def test_it_is_told_by_the_delivery_after_a_crash(redis_client):
    """The process died after the planner's answer was stored, and before the secretary heard it."""

    def model(request: ModelRequest) -> Any:
        if not has_results(request):
            return calls(("save", {}) if is_planner(request) else ("ask_planner", {"request": "save it"}))
        if is_planner(request):
            return said("It is saved.")
        raise ModelUnavailableError("500")

    first, saved = secretary(redis_client, ScriptedBackend(model), CrashingTool)
    with pytest.raises(BaseExceptionGroup):
        await first.process_message("save", 1, context_of(message_id="tg:1"))
    second, again = secretary(redis_client, ScriptedBackend(model))
    answer = await second.process_message("save", 1, context_of(message_id="tg:1"))
    assert answer.count(SAVED) == 1
    assert (len(saved.contexts), len(again.contexts)) == (1, 0)


async def test_a_told_answer_is_remembered_so_that_the_model_knows_what_was_said(redis_client):
    steps = calls(("ask_planner", {"request": "x"})), calls(("save", {})), said("saved")
    backend = ScriptedBackend(*steps, ModelUnavailableError("500"), said("It is there already."))
    assistant, _ = secretary(redis_client, backend)
    told = await assistant.process_message("save", 1, context_of(message_id="tg:1"))
    assert (
        await assistant.process_message("again", 1, context_of(message_id="tg:2")) == "It is there already."
    )
    assert told in [message.text for message in backend.requests[-1].messages]
