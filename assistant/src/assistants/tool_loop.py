"""Model, tools, model, … until there is an answer. Written once, above all backends.

The loop ends with one last answer without tools when the rounds are used up, the same call came
REPEATS times, the run's time for tools is over, or the model gave no answer after calls. Where that answer
does not come either (the provider fails, the time is over), and calls have changed something, the answer is
made of their receipts: a user who only hears "try again" would have it done twice.

What happens with the calls of one answer stands in `tool_round`.
"""

import asyncio
from collections.abc import Sequence
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
    ToolSpec,
    UserMessage,
)
from ..core.run_context import RunContext
from ..messages.texts import say_done
from ..storage.journal import Journal, NoJournal
from ..storage.summary import halve
from ..storage.turns import Turn, receipts_in
from ..tools.base import BaseTool
from ..tools.toolbox import Toolbox
from ..tools.wrappers import CallResult, DoneCalls, new_done_calls
from ..utils.text import is_blank
from .run_state import RunState
from .tool_round import ToolRound

log = get_logger(__name__)

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
class RunResult:
    """What a run brought: the new messages, the last of which is the answer.

    `history` is what of the earlier turns has been sent along in the end; `overflowed` tells that it
    had to be shortened because the model could not take more.
    """

    messages: tuple[Message, ...]
    answer: str
    history: tuple[Turn, ...]
    overflowed: bool


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
        self._toolbox = Toolbox(tools, new_done_calls() if done is None else done)
        self._round = ToolRound(self._toolbox, limits.output_chars)
        self._rounds = limits.rounds

    @property
    def tools(self) -> tuple[BaseTool, ...]:
        """The tools, by name."""
        return self._toolbox.tools

    async def call(self, call: ToolCall, context: RunContext) -> CallResult:
        """One call by itself: checked, executed and measured as in a run."""
        return await self._toolbox.call(call, context)

    async def run(
        self,
        opening: UserMessage,
        history: tuple[Turn, ...],
        context: RunContext,
        journal: Journal = NO_JOURNAL,
        *,
        backend: ModelBackend | None = None,
    ) -> RunResult:
        """From the user's message to the answer; from where an earlier delivery came to, by the journal.

        `backend` answers in this run in the place of the loop's own.

        Raises:
            ModelError: no model answered, or the message alone is too long for it; nothing was changed.
            TimeoutError: the context's deadline came; nothing was changed.
            RedisError: the journal could not be kept.
        """
        state = RunState(
            backend or self._backend, context, journal, history, list(journal.begun) or [opening]
        )
        context.receipts.extend(receipts_in(state.messages))
        try:
            async with asyncio.timeout_at(context.deadline):
                answer = await self._converse(state)
        except (AssistantError, TimeoutError) as exc:
            if not context.receipts:
                raise
            # something is done: an apology alone would make the user ask for it again
            reason = f"{type(exc).__name__}: {exc}"
            log.error("receipts_sent_as_answer", assistant=self._choice.assistant, reason=reason)  # noqa: TRY400
            answer = say_done(context.receipts, language=context.user.language)
        state.messages.append(AssistantMessage(answer))
        return RunResult(tuple(state.messages), answer, state.history, state.overflowed)

    async def _converse(self, state: RunState) -> str:
        """The model's answer, after as many rounds of calls as it takes."""
        if state.journal.begun:
            await self._round.resume(state)
        while not (state.stop_calling or state.rounds >= self._rounds or _time_is_over(state.context)):
            try:
                answer = await self._ask(state, self._toolbox.specs, "auto")
            except BadAnswerError:
                if not state.rounds:
                    raise
                # the tools have worked: the results are worth one more question
                break
            if not answer.tool_calls:
                return answer.text
            await self._round.run(state, answer)
        # the tools stay in the request: without them its cached start would change
        answer = await self._ask(state, self._toolbox.specs, "none")
        if is_blank(answer.text):
            log.warning("calls_in_last_answer", assistant=self._choice.assistant, model=answer.model)
            answer = await self._ask(state, (), "none")
        if is_blank(answer.text):
            msg = "tool calls instead of the last answer"
            raise BadAnswerError(msg)
        return answer.text

    async def _ask(
        self, state: RunState, tools: Sequence[ToolSpec], tool_choice: Literal["auto", "none"]
    ) -> ModelAnswer:
        """One answer; where the conversation is too long, with half of its history, and so on."""
        # ends: the history is halved each time, and without one the error is raised
        while True:
            request = ModelRequest(
                models=self._choice.models,
                instructions=self._choice.instructions,
                messages=state.all_messages(),
                tools=tools,
                tool_choice=tool_choice,
                temperature=self._choice.temperature,
                max_output_tokens=self._choice.max_output_tokens,
                deadline=state.context.deadline,
                # with something done, one more question is enough: the receipts can be the answer
                repeat_bad_answers=not state.context.receipts,
            )
            started = asyncio.get_running_loop().time()
            try:
                answer = await state.backend.complete(request, on_text=state.context.on_text)
            except ContextOverflowError:
                if not state.history:
                    raise
                state.history = halve(state.history)
                state.overflowed = True
                log.warning("history_halved", turns_left=len(state.history))
                continue
            state.context.totals.add(
                assistant_id=self._choice.assistant_id,
                assistant=self._choice.assistant,
                model=answer.model,
                usage=answer.usage,
                seconds=asyncio.get_running_loop().time() - started,
            )
            if answer.without_tools:
                state.context.totals.without_tools.add(answer.model)
            calls = tuple(map(self._toolbox.resolve_name, answer.tool_calls))
            return replace(answer, tool_calls=calls)


def _time_is_over(context: RunContext) -> bool:
    return asyncio.get_running_loop().time() >= context.tools_until
