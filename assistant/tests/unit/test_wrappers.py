import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.core import metrics
from assistant.src.core.errors import (
    InvalidInputError,
    ModelUnavailableError,
    ToolExecutionError,
    ToolTimeoutError,
)
from assistant.src.tools.wrappers import CallOutcome, CallResult, new_done_calls, wrap
from assistant.tests.fakes import FunctionTool, context_of


class EffectTool(FunctionTool):
    """Changes something outside."""

    has_effect = True


def failing(error: Exception) -> FunctionTool:
    def fail() -> str:
        raise error

    return FunctionTool("fails", fail)


async def call(tool: FunctionTool, arguments: dict[str, Any] | None = None, **context: Any) -> CallResult:
    return await wrap(tool, new_done_calls())(arguments or {}, context_of(**context).for_call(1))


@pytest.mark.parametrize(
    ("error", "outcome", "told"),
    [
        (InvalidInputError("say when"), CallOutcome.INVALID_INPUT, "invalid_input: say when"),
        (ToolExecutionError("no luck"), CallOutcome.FAILED, "failed: no luck"),
        (ToolTimeoutError("too slow"), CallOutcome.TIMEOUT, "timeout: too slow"),
        (TimeoutError(), CallOutcome.TIMEOUT, "timeout: fails took too long and was stopped"),
        (KeyError("secret"), CallOutcome.BROKEN, "failed: fails does not work at the moment"),
        (ModelUnavailableError("secret"), CallOutcome.BROKEN, "failed: fails does not work at the moment"),
    ],
)
async def test_an_error_says_who_must_act(error, outcome, told):
    result = await call(failing(error))
    assert result.outcome is outcome
    said = json.loads(result.text)["error"]
    assert f"{said['type']}: {said['message']}" == told


async def test_a_cancellation_goes_through():
    begun = asyncio.Event()

    async def stuck() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(call(FunctionTool("stuck", stuck)))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(("own", "run"), [(0.01, 60.0), (60.0, 0.01), (None, 0.01)])
async def test_the_shorter_of_both_limits_counts(own, run):
    stuck = FunctionTool("stuck", lambda: asyncio.Event().wait(), timeout=own)
    result = await asyncio.wait_for(call(stuck, seconds=run), 5)
    assert result.outcome is CallOutcome.TIMEOUT


async def test_of_an_effect_that_took_too_long_nobody_knows_whether_it_happened():
    for kind, unsure in ((EffectTool, True), (FunctionTool, False)):
        result = await call(kind("stuck", lambda: asyncio.Event().wait(), timeout=0.01))
        assert ("may or may not have been done" in result.text) is unsure


async def test_an_effect_happens_once_for_a_key_and_arguments():
    tool = EffectTool("t", lambda n: f"r{len(tool.contexts)}", properties={"n": {"type": "integer"}})
    run = wrap(tool, new_done_calls())
    first, second = context_of(message_id="tg:1").for_call(1), context_of(message_id="tg:1").for_call(2)
    assert (await run({"n": 1}, first)).text == "r1"
    assert (await run({"n": 1}, replace(first, repeated=True))).text == "r1"
    assert (await run({"n": 2}, first)).text == "r2"
    assert (await run({"n": 1}, second)).text == "r3"
    another = context_of(2, message_id="tg:1").for_call(1)
    assert (await run({"n": 1}, another)).text == "r4"
    assert len(tool.contexts) == 4


async def test_an_effect_that_failed_is_tried_again():
    def fail_first() -> str:
        if len(tool.contexts) == 1:
            raise ToolExecutionError("no luck")
        return "done"

    tool = EffectTool("t", fail_first)
    run, context = wrap(tool, new_done_calls()), context_of().for_call(1)
    assert (await run({}, context)).outcome is CallOutcome.FAILED
    assert (await run({}, context)).text == "done"


async def test_what_only_looks_is_looked_up_each_time():
    tool = FunctionTool("t", lambda: "x")
    run, context = wrap(tool, new_done_calls()), context_of().for_call(1)
    await run({}, context)
    await run({}, context)
    assert len(tool.contexts) == 2


async def test_a_call_is_logged_without_what_it_said_and_counted():
    def samples() -> float:
        _, page = metrics.render_page()
        lines = [
            line
            for line in page.decode().splitlines()
            if line.startswith("assistant_tool_call_seconds_count")
        ]
        return sum(
            float(line.split()[-1]) for line in lines if 'tool="seen"' in line and 'outcome="ok"' in line
        )

    before = samples()
    with capture_logs() as logs:
        await call(FunctionTool("seen", lambda text: text, properties={"text": {}}), {"text": "private"})
    (line,) = (line for line in logs if line["event"] == "tool_called")
    assert (line["tool"], line["call"], line["outcome"]) == ("seen", "1", "ok")
    assert line["ms"] >= 0
    assert "private" not in str(logs)
    assert samples() == before + 1
