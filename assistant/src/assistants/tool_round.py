"""One round of tool calls: check them, note them, run them side by side, note the results.

Nothing runs before all calls of the round are checked and stand in the run's journal, refusals
included. A repeat of the message goes on from there: the calls keep their numbers, and so their
idempotency keys.

Every call gets a result, whatever happens, for providers refuse a conversation with an open call. It is
either the tool's text or a typed error as JSON, `{"error": {"type", "message"}}`: `invalid_input`
(correct the call), `unknown_tool`, `failed`, `timeout`, `limit` (stop calling).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.model import AssistantMessage, ModelAnswer, ToolCall, ToolMessage
from ..tools.base import Arguments
from ..tools.toolbox import Toolbox, sanitize_call
from ..tools.wrappers import CallOutcome, CallResult, refusal
from ..utils.text import compact_json, shorten
from .run_state import REPEATS, RunState

CALLS_PER_ROUND = 16


@dataclass(frozen=True, slots=True)
class _CheckedCall:
    """A call that may run; `number` is its place among all calls of the run."""

    call: ToolCall
    arguments: Arguments
    number: int
    repeated: bool = False


class ToolRound:
    """Runs rounds of calls with one assistant's tools. Stateless between rounds."""

    def __init__(self, toolbox: Toolbox, output_chars: int) -> None:
        self._toolbox = toolbox
        self._output_chars = output_chars

    async def run(self, state: RunState, answer: ModelAnswer) -> None:
        """Add the calls of `answer` to the run, each with its result behind them, in their order.

        Raises:
            RedisError: the journal could not be kept; the calls were not run.
        """
        state.rounds += 1
        checked: list[_CheckedCall] = []
        results: dict[str, ToolMessage] = {}
        for position, call in enumerate(answer.tool_calls):
            state.calls += 1
            arguments = self._check(state, call, position)
            if isinstance(arguments, CallResult):
                self._toolbox.record_refusal(call, arguments, state.context.for_call(state.calls))
                results[call.id] = self._message(call, arguments)
            else:
                checked.append(_CheckedCall(call, arguments, state.calls))
        calls = tuple(map(sanitize_call, answer.tool_calls))
        state.messages.append(AssistantMessage(answer.text, calls, answer.opaque))
        if checked:
            await state.journal.note([*state.messages, *_in_order(calls, results)])
        await self._execute_all(state, calls, checked, results)

    async def resume(self, state: RunState) -> None:
        """Go on from the journal: run those calls of its last round that have no result yet."""
        calls, results = state.resume_last_round()
        checked: list[_CheckedCall] = []
        for number, call in enumerate(calls, state.calls - len(calls) + 1):
            if call.id in results:
                continue
            # only the arguments: counting it as a repeat of itself would refuse it
            arguments = self._toolbox.check(call)
            if isinstance(arguments, CallResult):
                results[call.id] = self._message(call, arguments)
            else:
                checked.append(_CheckedCall(call, arguments, number, repeated=True))
        if calls:
            await self._execute_all(state, calls, checked, results)

    def _check(self, state: RunState, call: ToolCall, position: int) -> Arguments | CallResult:
        """The arguments of a call that may run, or why it may not. Nothing is run here."""
        if position >= CALLS_PER_ROUND:
            return refusal(CallOutcome.LIMIT, f"only {CALLS_PER_ROUND} calls at once are run")
        if state.count_call(call) >= REPEATS:
            text = f"this same call came {REPEATS} times; its result stays: answer with what you have"
            return refusal(CallOutcome.LIMIT, text)
        return self._toolbox.check(call)

    async def _execute_all(
        self,
        state: RunState,
        calls: Sequence[ToolCall],
        checked: Sequence[_CheckedCall],
        results: dict[str, ToolMessage],
    ) -> None:
        """Run the checked calls side by side; then put all results of the round behind its calls."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._execute(state, one)) for one in checked]
        for one, task in zip(checked, tasks, strict=True):
            results[one.call.id] = self._message(one.call, *task.result())
        state.messages.extend(_in_order(calls, results))
        await state.journal.note(state.messages)

    async def _execute(self, state: RunState, checked: _CheckedCall) -> tuple[CallResult, Sequence[str]]:
        """The result of one call, and its receipts."""
        context = state.context.for_call(checked.number, repeated=checked.repeated)
        try:
            result = await self._toolbox.execute(checked.call.name, checked.arguments, context)
        finally:
            # also when the run is cancelled here: what was done must be told
            state.context.receipts.extend(context.receipts)
        if result.outcome is not CallOutcome.OK and context.receipts:
            # a sub-assistant that was stopped may have done a part of what it was asked
            result = replace(result, text=f"{result.text}\n{compact_json({'done_before': context.receipts})}")
        return result, context.receipts

    def _message(self, call: ToolCall, result: CallResult, receipts: Sequence[str] = ()) -> ToolMessage:
        note = f"… [cut: {len(result.text)} characters]"
        text = shorten(result.text, self._output_chars, note)
        return ToolMessage(call.id, text, receipt="\n".join(receipts))


def _in_order(calls: Sequence[ToolCall], results: Mapping[str, ToolMessage]) -> list[ToolMessage]:
    return [results[call.id] for call in calls if call.id in results]
