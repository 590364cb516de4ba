"""What all tool calls have in common: one small wrapper each, `wrap` puts them around a tool.

with_metrics                 one log line and one measurement for each call
└── with_typed_errors        errors become results that say who must act; effects leave their receipt
    └── run_once             a call with an effect that a redelivery repeats here is not run again
        └── with_timeout     no longer than its own limit, and than the run's time for tools
            └── execute      the tool
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from service_kit.logging import get_logger

from ..core import metrics
from ..core.errors import InvalidInputError, ToolError, ToolTimeoutError
from ..core.run_context import RunContext
from ..utils.text import canonical_json, compact_json
from ..utils.ttl_cache import TTLCache
from .base import Arguments, BaseTool
from .receipts import format_done, format_unsure

log = get_logger(__name__)

Execute = Callable[[Arguments, RunContext], Awaitable[str]]
REMEMBERED_SECONDS = 3600.0
REMEMBERED_CALLS = 10_000
UNKNOWN = "unknown"
"""Stands for the names that models invent, in logs and metrics."""


class CallOutcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    INVALID_INPUT = "invalid_input"
    """The model's to correct."""
    UNKNOWN_TOOL = "unknown_tool"
    """The model's to correct."""
    FAILED = "failed"
    """The tool could not do it; the same call will hardly help."""
    TIMEOUT = "timeout"
    LIMIT = "limit"
    """The model shall stop calling."""
    BROKEN = "broken"
    """Ours: a bug. The model is told `failed`."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the model gets back from a call."""

    outcome: CallOutcome
    text: str


Call = Callable[[Arguments, RunContext], Awaitable[CallResult]]
DoneCalls = TTLCache[tuple[int, str, str, str], str]
"""Results of calls with an effect: by user, point of the message's work, tool and arguments."""


def new_done_calls() -> DoneCalls:
    """An empty cache; one for the process, for assistants are built anew when their rows change."""
    return TTLCache(seconds=REMEMBERED_SECONDS, limit=REMEMBERED_CALLS)


def wrap(tool: BaseTool, done: DoneCalls) -> Call:
    """The tool as the loop calls it: raises nothing but a cancellation."""
    execute = with_timeout(tool)
    if tool.has_effect:
        execute = run_once(tool, execute, done)
    return with_metrics(tool, with_typed_errors(tool, execute))


def with_timeout(tool: BaseTool) -> Execute:
    """Stops the tool after its own time, or when the run's time for tools is over."""

    async def execute(arguments: Arguments, context: RunContext) -> str:
        until = context.tools_until
        if tool.timeout is not None:
            until = min(until, asyncio.get_running_loop().time() + tool.timeout)
        try:
            async with asyncio.timeout_at(until):
                return await tool.execute(arguments, context)
        except TimeoutError as exc:
            unsure = "; it may or may not have been done, so look before you call again"
            msg = f"{tool.name} took too long and was stopped{unsure if tool.has_effect else ''}"
            # a type of its own: a stopped call with an effect leaves a receipt that says so
            raise ToolTimeoutError(msg) from exc

    return execute


def run_once(tool: BaseTool, execute: Execute, done: DoneCalls) -> Execute:
    """Returns the first result for a call with the same key and arguments.

    Across processes the run's journal and the idempotency key at the far end make an effect happen once.
    This covers the gap between them: Redis fails between the effect and its note, and the far end knows
    no keys.
    """

    async def execute_once(arguments: Arguments, context: RunContext) -> str:
        key = (context.user.id, context.key, tool.name, canonical_json(arguments))
        text = done.get(key)
        if text is None:
            text = await execute(arguments, context)
            # only a result: a call that failed may be tried again
            done.put(key, text)
        else:
            log.info("tool_call_repeated", tool=tool.name, call=context.path)
        return text

    return execute_once


def with_typed_errors(tool: BaseTool, execute: Execute) -> Call:
    """Turns every error into a result."""

    async def call(arguments: Arguments, context: RunContext) -> CallResult:
        try:
            text = await execute(arguments, context)
        except InvalidInputError as exc:
            return refusal(CallOutcome.INVALID_INPUT, str(exc))
        except ToolTimeoutError as exc:
            _leave_unsure_receipt(tool, context)
            return refusal(CallOutcome.TIMEOUT, str(exc))
        except ToolError as exc:
            return refusal(CallOutcome.FAILED, str(exc))
        except Exception:  # a bug in one tool must not take the user's answer: the model goes on without it
            log.exception("tool_broken", tool=tool.name, call=context.path)
            _leave_unsure_receipt(tool, context)
            return refusal(CallOutcome.BROKEN, f"{tool.name} does not work at the moment")
        _leave_receipt(tool, arguments, text, context)
        return CallResult(CallOutcome.OK, text)

    return call


def _leave_receipt(tool: BaseTool, arguments: Arguments, text: str, context: RunContext) -> None:
    try:
        receipt = tool.receipt(arguments, text, context)
    except Exception:  # the effect is there: a bug in telling of it must not make it look as if it were not
        log.exception("receipt_broken", tool=tool.name, call=context.path)
        receipt = format_done(tool.name, context.user.language)
    if receipt:
        context.receipts.append(receipt)


def _leave_unsure_receipt(tool: BaseTool, context: RunContext) -> None:
    if tool.has_effect:
        context.receipts.append(format_unsure(tool.name, context.user.language))


def with_metrics(tool: BaseTool, call: Call) -> Call:
    """Logs and measures each call."""

    async def call_and_observe(arguments: Arguments, context: RunContext) -> CallResult:
        clock = asyncio.get_running_loop().time
        started = clock()
        result = await call(arguments, context)
        observe(tool.name, context, result, clock() - started)
        return result

    return call_and_observe


def observe(tool: str, context: RunContext, result: CallResult, seconds: float = 0.0) -> None:
    """One call in the log and in the metrics; nothing of what it said."""
    log.info(
        "tool_called",
        tool=tool,
        call=context.path,
        outcome=result.outcome,
        ms=round(seconds * 1000, 1),
    )
    metrics.observe_tool_call(tool, result.outcome, seconds)


def refusal(outcome: CallOutcome, message: str) -> CallResult:
    """A result that is an error: `{"error": {"type", "message"}}`."""
    kind = CallOutcome.FAILED if outcome is CallOutcome.BROKEN else outcome
    return CallResult(outcome, compact_json({"error": {"type": kind, "message": message}}))
