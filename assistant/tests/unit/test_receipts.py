"""What users are told of what calls have done, when no model tells it."""

import asyncio
import json
from typing import Any

import pytest

from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, RunResult, ToolLoop
from assistant.src.core.errors import (
    BadAnswerError,
    ModelError,
    ModelRefusedError,
    ModelUnavailableError,
    ToolExecutionError,
)
from assistant.src.core.model import AssistantMessage, ModelRequest, ToolCall, ToolMessage, UserMessage
from assistant.src.core.routing.retry import Retrying
from assistant.src.core.routing.router import ModelResolver, ModelRouter
from assistant.src.core.run_context import RunContext
from assistant.src.tools.base import BaseTool
from assistant.src.tools.receipts import format_reminder
from assistant.tests.fakes import FunctionTool, ScriptedBackend, calls, context_of, said
from assistant.tests.unit.test_tool_loop_resumed import FakeJournal

CHOICE = ModelChoice(assistant_id="a", assistant="Secretary", models=("m",), instructions="Be brief.")
SAVED = "“save” was carried out."


class EffectTool(FunctionTool):
    has_effect = True


def save(result: Any = "ok") -> EffectTool:
    return EffectTool("save", lambda: result() if callable(result) else result)


async def run(
    backend: ScriptedBackend, *tools: BaseTool, context: RunContext | None = None, rounds: int = 8
) -> RunResult:
    loop = ToolLoop(backend, CHOICE, tools, LoopLimits(rounds))
    return await loop.run(UserMessage("hi"), (), context or context_of())


async def hang(_request: ModelRequest) -> Any:
    await asyncio.Event().wait()


FAILURES = [
    BadAnswerError("empty"),
    ModelUnavailableError("500"),
    ModelRefusedError("401", status=401),
    calls(("save", {})),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["empty", "away", "refused", "calls only"])
async def test_what_was_done_is_the_answer_where_the_model_gives_none(failure):
    tool = save()
    outcome = await run(ScriptedBackend(calls(("save", {})), failure), tool)
    assert outcome.answer.startswith("I could not finish")
    assert f"• {SAVED}" in outcome.answer
    assert outcome.messages[-1] == AssistantMessage(outcome.answer)


async def test_it_is_the_answer_when_time_runs_out():
    outcome = await run(ScriptedBackend(calls(("save", {})), hang), save(), context=context_of(seconds=2.0))
    assert SAVED in outcome.answer


async def test_it_is_the_answer_when_rounds_run_out():
    backend = ScriptedBackend(calls(("save", {})), ModelUnavailableError("500"))
    assert SAVED in (await run(backend, save(), rounds=1)).answer


async def test_a_call_that_is_cut_off_leaves_what_the_others_have_done():
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    tools = save(), FunctionTool("slow", never, timeout=None)
    backend = ScriptedBackend(calls(("save", {}), ("slow", {})))
    context = context_of(seconds=2.0)
    outcome = await run(backend, *tools, context=context)
    assert SAVED in outcome.answer


async def test_an_empty_answer_after_calls_is_asked_for_once_more_without_any():
    backend = ScriptedBackend(calls(("save", {})), BadAnswerError("empty"), said("Saved it."))
    outcome = await run(backend, save())
    assert outcome.answer == "Saved it."
    assert [request.tool_choice for request in backend.requests] == ["auto", "auto", "none"]


async def test_after_an_effect_an_empty_answer_is_asked_for_once_more_alone():
    empty = BadAnswerError("empty")
    backend = ScriptedBackend(calls(("save", {})), empty, empty, empty, empty)
    resolver = ModelResolver({"openai": backend}, default_provider="openai", default_model="m")
    router = ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0))
    loop = ToolLoop(router, CHOICE, [save()], LoopLimits(8))
    assert SAVED in (await loop.run(UserMessage("hi"), (), context_of())).answer
    assert len(backend.requests) == 3


@pytest.mark.parametrize("failure", [BadAnswerError("empty"), ModelUnavailableError("500")])
async def test_where_nothing_was_changed_the_failure_is_one(failure):
    backend = ScriptedBackend(calls(("look", {})), failure)
    with pytest.raises(ModelError):
        await run(backend, FunctionTool("look", lambda: "nothing"))


async def test_an_empty_first_answer_is_a_failure_at_once():
    backend = ScriptedBackend(BadAnswerError("empty"))
    with pytest.raises(BadAnswerError):
        await run(backend, save())
    assert len(backend.requests) == 1


async def test_a_refused_or_failed_call_has_done_nothing():
    def fail() -> str:
        msg = "there is no room"
        raise ToolExecutionError(msg)

    backend = ScriptedBackend(calls(("save", {}), ("save", "["), ("nosuch", {})), ModelUnavailableError("x"))
    with pytest.raises(ModelUnavailableError):
        await run(backend, save(fail))


async def test_of_an_effect_that_was_stopped_the_user_hears_that_it_is_not_certain():
    async def slow() -> str:
        await asyncio.Event().wait()
        return ""

    tool = EffectTool("save", slow, timeout=0.05)
    outcome = await run(ScriptedBackend(calls(("save", {})), ModelUnavailableError("500")), tool)
    assert "may or may not" in outcome.answer


@pytest.mark.parametrize("language", ["ru", "ru-RU"])
async def test_it_is_told_in_the_users_language(language):
    backend = ScriptedBackend(calls(("save", {})), ModelUnavailableError("500"))
    outcome = await run(backend, save(), context=context_of(language=language))
    assert "Закончить ответ не получилось" in outcome.answer
    assert "«save»: выполнено." in outcome.answer


async def test_a_tool_that_cannot_tell_of_its_effect_has_had_it():
    class Broken(EffectTool):
        def receipt(self, *_args: Any) -> str:
            raise ValueError

    backend = ScriptedBackend(calls(("save", {})), ModelUnavailableError("500"))
    outcome = await run(backend, Broken("save", lambda: "ok"))
    assert SAVED in outcome.answer
    assert [m.text for m in outcome.messages if isinstance(m, ToolMessage)] == ["ok"]


async def test_what_an_earlier_delivery_has_done_is_told_too():
    begun = (
        UserMessage("hi"),
        AssistantMessage("", (ToolCall("c", "save", "{}"),)),
        ToolMessage("c", "ok", receipt=SAVED),
    )
    loop = ToolLoop(ScriptedBackend(ModelUnavailableError("500")), CHOICE, [save()], LoopLimits())
    outcome = await loop.run(UserMessage("hi"), (), context_of(), FakeJournal(begun))
    assert outcome.answer.count(SAVED) == 1


async def test_a_receipt_is_noted_with_the_result():
    journal = FakeJournal()
    loop = ToolLoop(ScriptedBackend(calls(("save", {})), said("done")), CHOICE, [save()], LoopLimits())
    await loop.run(UserMessage("hi"), (), context_of(), journal)
    assert [m.receipt for m in journal.notes[-1] if isinstance(m, ToolMessage)] == [SAVED]


@pytest.mark.parametrize(
    ("answer", "language", "receipt"),
    [
        (
            {"status": "created", "reminder": {"id": 7, "text": "water"}},
            "en",
            "Reminder set: “water”, 2026-11-22 13:30 (Europe/Berlin).",
        ),
        (
            {"status": "changed", "reminder": {"id": 7, "text": "вода"}},
            None,
            "Напоминание изменено: “вода”, 2026-11-22 13:30 (Europe/Berlin).",
        ),
        (
            {"status": "cancelled", "reminder": {"id": 7, "text": "water"}},
            None,
            "Reminder cancelled: “water”.",
        ),
        ({"status": "cancelled", "reminder": {"id": 7}}, "ru", "Напоминание отменено: 7."),
        ({"reminders": []}, "en", ""),
    ],
)
def test_a_reminders_receipt_says_which_and_when(answer, language, receipt):
    answer = json.loads(json.dumps(answer))
    if answer.get("status") in {"created", "changed"}:
        answer["reminder"]["next"] = {"date": "2026-11-22", "time": "13:30", "timezone": "Europe/Berlin"}
    assert format_reminder(answer, language) == receipt
