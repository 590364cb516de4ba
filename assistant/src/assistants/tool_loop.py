"""Model, tools, model, … until there is an answer. Written once, above all backends.

What a model gets back from a call is either the tool's text or a typed error as JSON,
`{"error": {"type", "message"}}`: `invalid_input` (correct the call), `unknown_tool`, `failed`,
`timeout`, `limit` (stop calling). Every call is answered, whatever happens, for providers refuse a
conversation with an open call.

The loop ends with one last answer without tools when the rounds are used up, the same call came
REPEATS times, the run's time for tools is over, or the model gave no answer after calls. Where that answer
does not come either (the provider fails, the time is over), and calls have changed something, the answer is
made of their receipts: a user who only hears "try again" would have it done twice.

Calls are judged before anything runs; then they are noted in the run's journal together with the
refusals, run side by side, and noted again with their results. A repeat of the message goes on from
there: the calls keep their numbers, and so their idempotency keys.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service_kit.logging import get_logger

from ..core.errors import AssistantError, BadAnswerError, ContextOverflowError
from ..core.model import (
    AssistantMessage,
    Message,
    ModelAnswer,
    ModelBackend,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from ..core.run_context import RunContext
from ..messages.texts import say_done
from ..storage.journal import Journal, NoJournal
from ..storage.summary import halved
from ..storage.turns import Turn, receipts_in
from ..tools.base import Arguments, BaseTool
from ..tools.toolbox import Toolbox, repeatable
from ..tools.wrappers import CallOutcome, CallResult, DoneCalls, done_calls, refusal
from ..utils.text import compact_json, shortened
from .run_state import REPEATS, Run

log = get_logger(__name__)

CALLS_A_ROUND = 16
NO_JOURNAL = NoJournal()


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """What one run may take."""

    rounds: int = 8
    output_chars: int = 16_000


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which models are asked, for which assistant, and how."""

    assistant_id: str
    assistant: str
    models: tuple[str, ...]
    instructions: str
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought: the new messages, the last of which is the answer.

    `history` is what of the earlier turns has been sent along in the end; `overflowed` tells that it
    had to be shortened because the model could not take more.
    """

    messages: tuple[Message, ...]
    answer: str
    history: tuple[Turn, ...]
    overflowed: bool


@dataclass(frozen=True, slots=True)
class _Planned:
    """A call that is fit to run; `number` is its place among all calls of the run."""

    call: ToolCall
    arguments: Arguments
    number: int
    repeated: bool = False


class ToolLoop:
    """Runs one assistant's model with its tools. Stateless between runs."""

    def __init__(
        self,
        backend: ModelBackend,
        choice: ModelChoice,
        tools: Sequence[BaseTool],
        limits: LoopLimits,
        done: DoneCalls | None = None,
    ) -> None:
        """`done` is what all loops of the process share; without it, the loop has its own."""
        self._backend = backend
        self._choice = choice
        self._toolbox = Toolbox(tools, done_calls() if done is None else done)
        self._limits = limits

    @property
    def tools(self) -> tuple[BaseTool, ...]:
        """The tools, by name."""
        return self._toolbox.tools

    async def call(self, call: ToolCall, context: RunContext) -> CallResult:
        """One call by itself: checked, carried out and measured as in a run."""
        return await self._toolbox.call(call, context)

    async def run(
        self,
        opening: UserMessage,
        history: tuple[Turn, ...],
        context: RunContext,
        journal: Journal = NO_JOURNAL,
        *,
        backend: ModelBackend | None = None,
    ) -> Outcome:
        """From the user's message to the answer; from where an earlier delivery came to, by the journal.

        `backend` answers in this run in the place of the loop's own.

        Raises:
            ModelError: no model answered, or the message alone is too long for it; nothing was changed.
            TimeoutError: the context's deadline came; nothing was changed.
            RedisError: the journal could not be kept.
        """
        run = Run(backend or self._backend, context, journal, history, list(journal.begun) or [opening])
        context.receipts.extend(receipts_in(run.messages))
        try:
            async with asyncio.timeout_at(context.deadline):
                answer = await self._answered(run)
        except (AssistantError, TimeoutError) as exc:
            if not context.receipts:
                raise
            reason = f"{type(exc).__name__}: {exc}"
            log.error("answer_made_of_receipts", assistant=self._choice.assistant, reason=reason)  # noqa: TRY400
            answer = say_done(context.receipts, language=context.user.language)
        run.messages.append(AssistantMessage(answer))
        return Outcome(tuple(run.messages), answer, run.history, run.overflowed)

    async def _answered(self, run: Run) -> str:
        """The model's answer, after as many rounds of calls as it takes."""
        await self._resume(run)
        while not (run.stop_calling or run.rounds >= self._limits.rounds or _time_is_over(run.context)):
            try:
                answer = await self._ask(run, self._toolbox.specs, "auto")
            except BadAnswerError:
                if not run.rounds:
                    raise
                break
            if not answer.tool_calls:
                return answer.text
            await self._round(run, answer)
        answer = await self._ask(run, self._toolbox.specs, "none")
        if not answer.text.strip():
            log.warning("calls_in_the_last_answer", assistant=self._choice.assistant, model=answer.model)
            answer = await self._ask(run, (), "none")
        if not answer.text.strip():
            msg = "tool calls instead of the last answer"
            raise BadAnswerError(msg)
        return answer.text

    async def _ask(
        self, run: Run, tools: Sequence[ToolSpec], tool_choice: Literal["auto", "none"]
    ) -> ModelAnswer:
        """One answer; where the conversation is too long, with half of its history, and so on."""
        while True:
            request = ModelRequest(
                models=self._choice.models,
                instructions=self._choice.instructions,
                messages=run.everything(),
                tools=tools,
                tool_choice=tool_choice,
                temperature=self._choice.temperature,
                max_output_tokens=self._choice.max_output_tokens,
                deadline=run.context.deadline,
            )
            started = asyncio.get_running_loop().time()
            try:
                answer = await run.backend.complete(request, on_text=run.context.on_text)
            except ContextOverflowError:
                if not run.history:
                    raise
                run.history = halved(run.history)
                run.overflowed = True
                log.warning("history_halved", turns_left=len(run.history))
                continue
            run.context.totals.add(
                assistant_id=self._choice.assistant_id,
                assistant=self._choice.assistant,
                model=answer.model,
                usage=answer.usage,
                seconds=asyncio.get_running_loop().time() - started,
            )
            if answer.without_tools:
                run.context.totals.without_tools.add(answer.model)
            calls = tuple(map(self._toolbox.resolved, answer.tool_calls))
            return replace(answer, tool_calls=calls)

    async def _round(self, run: Run, answer: ModelAnswer) -> None:
        """The calls of one answer, each with its result behind them, in their order."""
        run.rounds += 1
        planned: list[_Planned] = []
        results: dict[str, ToolMessage] = {}
        for position, call in enumerate(answer.tool_calls):
            run.calls += 1
            judged = self._judged(run, call, position)
            if isinstance(judged, CallResult):
                self._toolbox.refused(call, judged, run.context.for_call(run.calls))
                results[call.id] = self._message(call, judged)
            else:
                planned.append(_Planned(call, judged, run.calls))
        calls = tuple(map(repeatable, answer.tool_calls))
        run.messages.append(AssistantMessage(answer.text, calls, answer.opaque))
        if planned:
            await run.journal.note([*run.messages, *_in_order(calls, results)])
        await self._finish(run, calls, planned, results)

    async def _resume(self, run: Run) -> None:
        """Take up what the journal holds: count it, and run the calls that have no result yet."""
        calls, results = run.taken_up()
        planned: list[_Planned] = []
        for number, call in enumerate(calls, run.calls - len(calls) + 1):
            if call.id in results:
                continue
            arguments = self._toolbox.checked(call)
            if isinstance(arguments, CallResult):
                results[call.id] = self._message(call, arguments)
            else:
                planned.append(_Planned(call, arguments, number, repeated=True))
        if calls:
            await self._finish(run, calls, planned, results)

    async def _finish(
        self,
        run: Run,
        calls: Sequence[ToolCall],
        planned: Sequence[_Planned],
        results: dict[str, ToolMessage],
    ) -> None:
        """Run what is planned, side by side; then put all results of the round behind its calls."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._executed(run, one)) for one in planned]
        for one, task in zip(planned, tasks, strict=True):
            results[one.call.id] = self._message(one.call, *task.result())
        run.messages.extend(_in_order(calls, results))
        await run.journal.note(run.messages)

    async def _executed(self, run: Run, planned: _Planned) -> tuple[CallResult, Sequence[str]]:
        """The result of one call, and its receipts."""
        context = run.context.for_call(planned.number, repeated=planned.repeated)
        try:
            result = await self._toolbox.carried_out(planned.call.name, planned.arguments, context)
        finally:
            run.context.receipts.extend(context.receipts)
        if result.outcome is not CallOutcome.OK and context.receipts:
            # a sub-assistant that was stopped may have done a part of what it was asked
            result = replace(result, text=f"{result.text}\n{compact_json({'done_before': context.receipts})}")
        return result, context.receipts

    def _judged(self, run: Run, call: ToolCall, position: int) -> Arguments | CallResult:
        """The arguments of a call that may run, or why it may not. Nothing is run here."""
        if position >= CALLS_A_ROUND:
            return refusal(CallOutcome.LIMIT, f"only {CALLS_A_ROUND} calls at once are run")
        if run.is_repeat(call):
            text = f"this same call came {REPEATS} times; its result stays: answer with what you have"
            return refusal(CallOutcome.LIMIT, text)
        return self._toolbox.checked(call)

    def _message(self, call: ToolCall, result: CallResult, receipts: Sequence[str] = ()) -> ToolMessage:
        note = f"… [cut: {len(result.text)} characters]"
        text = shortened(result.text, self._limits.output_chars, note)
        return ToolMessage(call.id, text, receipt="\n".join(receipts))


def _in_order(calls: Sequence[ToolCall], results: Mapping[str, ToolMessage]) -> list[ToolMessage]:
    return [results[call.id] for call in calls if call.id in results]


def _time_is_over(context: RunContext) -> bool:
    return asyncio.get_running_loop().time() >= context.tools_until
