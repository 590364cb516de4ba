"""Model, tools, model, … until there is an answer. Written once, above all backends.

What a model gets back from a call is either the tool's text or a typed error as JSON,
`{"error": {"type", "message"}}`: `invalid_input` (correct the call), `unknown_tool`, `failed`,
`timeout`, `limit` (stop calling). Every call is answered, whatever happens, for providers refuse a
conversation with an open call.

The loop ends with one last answer without tools when the rounds are used up, the same call came
REPEATS times, or the run's time for tools is over.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from service_kit.logging import get_logger

from ..core.errors import BadAnswerError, ContextOverflowError, InvalidInputError, ToolError
from ..core.model import (
    AssistantMessage,
    Message,
    ModelAnswer,
    ModelBackend,
    ModelRequest,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from ..core.run_context import RunContext
from ..storage.turns import Turn
from ..tools.base import BaseTool
from ..utils.text import canonical_json, compact_json, shortened

log = get_logger(__name__)

REPEATS = 3
"""The same call with the same arguments is not run this often."""
CALLS_A_ROUND = 16

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


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


@dataclass(slots=True)
class _Run:
    """The state of one run."""

    context: RunContext
    history: tuple[Turn, ...]
    messages: list[Message]
    seen: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    overflowed: bool = False
    stop_calling: bool = False

    def everything(self) -> list[Message]:
        """All messages for the model, oldest first."""
        return [message for turn in self.history for message in turn.messages] + self.messages


class ToolLoop:
    """Runs one assistant's model with its tools. Stateless between runs."""

    def __init__(
        self, backend: ModelBackend, choice: ModelChoice, tools: Sequence[BaseTool], limits: LoopLimits
    ) -> None:
        self._backend = backend
        self._choice = choice
        # sorted: the same tools make the same request, and the provider's prompt cache holds
        self._tools: Mapping[str, BaseTool] = {
            tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)
        }
        self._specs = tuple(tool.spec for tool in self._tools.values())
        self._limits = limits

    async def run(self, opening: UserMessage, history: tuple[Turn, ...], context: RunContext) -> Outcome:
        """From the user's message to the answer.

        Raises:
            ModelError: no model answered, or the message alone is too long for it.
        """
        run = _Run(context, history, [opening])
        rounds = 0
        while True:
            last = run.stop_calling or rounds >= self._limits.rounds or _time_is_over(context)
            answer = await self._ask(run, may_call=not last)
            if last or not answer.tool_calls:
                return _outcome(run, answer)
            rounds += 1
            calls = tuple(map(_repeatable, answer.tool_calls))
            run.messages.append(AssistantMessage(answer.text, calls, answer.opaque))
            run.messages.extend(await self._call_all(run, answer.tool_calls))

    async def _ask(self, run: _Run, *, may_call: bool) -> ModelAnswer:
        """One answer; where the conversation is too long, with half of its history, and so on."""
        while True:
            request = ModelRequest(
                models=self._choice.models,
                instructions=self._choice.instructions,
                messages=run.everything(),
                tools=self._specs,
                tool_choice="auto" if may_call else "none",
                temperature=self._choice.temperature,
                max_output_tokens=self._choice.max_output_tokens,
            )
            started = asyncio.get_running_loop().time()
            try:
                answer = await self._backend.complete(request, on_text=run.context.on_text)
            except ContextOverflowError:
                if not run.history:
                    raise
                run.history = run.history[(len(run.history) + 1) // 2 :]
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
            return answer

    async def _call_all(self, run: _Run, calls: Sequence[ToolCall]) -> list[ToolMessage]:
        """The results of one round, in the order of the calls; the calls run side by side."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._answered(run, call, position)) for position, call in enumerate(calls)
            ]
        return [task.result() for task in tasks]

    async def _answered(self, run: _Run, call: ToolCall, position: int) -> ToolMessage:
        # no await before the numbers are taken: they follow the order of the calls, in a repeat too
        run.calls += 1
        run.context.totals.tool_calls += 1
        context = run.context.for_call(run.calls)
        started = asyncio.get_running_loop().time()
        if position >= CALLS_A_ROUND:
            outcome, text = "limit", _error("limit", f"only {CALLS_A_ROUND} calls at once are run")
        else:
            outcome, text = await self._executed(run, call, context)
        log.info(
            "tool_called",
            tool=call.name if call.name in self._tools else "unknown",
            call=context.path,
            outcome=outcome,
            ms=round((asyncio.get_running_loop().time() - started) * 1000, 1),
        )
        note = f"… [cut: {len(text)} characters]"
        return ToolMessage(call.id, shortened(text, self._limits.output_chars, note))

    async def _executed(self, run: _Run, call: ToolCall, context: RunContext) -> tuple[str, str]:
        """Outcome and text of one call."""
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools) or "none"
            return "unknown_tool", _error(
                "unknown_tool", f"there is no tool {call.name[:64]!r}; there are: {names}"
            )
        try:
            arguments = tool.check(_parsed(call.arguments))
            if self._is_repeat(run, tool, canonical_json(arguments)):
                text = f"this same call came {REPEATS} times; its result stays: answer with what you have"
                return "limit", _error("limit", text)
            async with asyncio.timeout_at(_call_deadline(tool, context)):
                return "ok", await tool.execute(arguments, context)
        except InvalidInputError as exc:
            return "invalid_input", _error("invalid_input", str(exc))
        except ToolError as exc:
            return "failed", _error("failed", str(exc))
        except TimeoutError:
            return "timeout", _error("timeout", f"{tool.name} took too long and was stopped")
        except Exception:  # a bug in one tool must not take the user's answer: the model goes on without it
            log.exception("tool_broken", tool=tool.name)
            return "failed", _error("failed", f"{tool.name} does not work at the moment")

    def _is_repeat(self, run: _Run, tool: BaseTool, arguments: str) -> bool:
        """Counts the call; from the REPEATS-th on it is refused and ends the calling."""
        same = f"{tool.name} {arguments}"
        run.seen[same] += 1
        if run.seen[same] < REPEATS:
            return False
        run.stop_calling = True
        return True


def _outcome(run: _Run, answer: ModelAnswer) -> Outcome:
    if not answer.text.strip():
        # the last answer, and the model still insists on calling tools
        msg = "tool calls instead of the last answer"
        raise BadAnswerError(msg)
    run.messages.append(AssistantMessage(answer.text))
    return Outcome(
        messages=tuple(run.messages), answer=answer.text, history=run.history, overflowed=run.overflowed
    )


def _time_is_over(context: RunContext) -> bool:
    return asyncio.get_running_loop().time() >= context.tools_until


def _call_deadline(tool: BaseTool, context: RunContext) -> float:
    if tool.timeout is None:
        return context.deadline
    return min(context.deadline, asyncio.get_running_loop().time() + tool.timeout)


def _repeatable(call: ToolCall) -> ToolCall:
    """The call as it may stand in the history: servers refuse names and arguments out of form for ever."""
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "unknown"
    try:
        arguments = call.arguments if isinstance(_parsed(call.arguments), dict) else "{}"
    except InvalidInputError:
        arguments = "{}"
    return replace(call, name=name, arguments=arguments.strip() or "{}")


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError) as exc:
        msg = f"the arguments are not JSON: {exc}"
        raise InvalidInputError(msg) from exc


def _error(kind: str, message: str) -> str:
    return compact_json({"error": {"type": kind, "message": message}})
