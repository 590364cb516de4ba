"""The tools of one assistant, and the calls that a model makes of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..core.errors import InvalidInputError, ToolError
from ..core.model import ToolCall, ToolSpec
from ..core.run_context import RunContext
from ..utils.text import canonical_json
from .base import Arguments, BaseTool
from .wrappers import UNKNOWN, Call, CallOutcome, CallResult, DoneCalls, observe, refusal, wrap

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


LONGEST_NAME = 256
"""Characters of a tool's name in which another one is looked for."""
_SEPARATOR = re.compile(r"[\s_-]")
_TAIL = re.compile(r"(?:<\||\(\)|:\d+$).*|[\s\"'`]+$", re.DOTALL)
"""What models write behind a tool's name: marks of their own format, brackets, a number."""
_NAMESPACE = re.compile(r".*(?:[.:/\\\"'`]\s*|__)", re.DOTALL)
"""And before it, such as `functions.`, `default_api:`, `tools/`, `mcp__server__`."""


class Toolbox:
    """Tools by name. Shared by all runs of the assistant."""

    def __init__(self, tools: Sequence[BaseTool], done: DoneCalls) -> None:
        # sorted: the same tools make the same request, and the provider's prompt cache holds
        self._tools: Mapping[str, BaseTool] = {
            tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)
        }
        self._calls: Mapping[str, Call] = {name: wrap(tool, done) for name, tool in self._tools.items()}
        self.specs: tuple[ToolSpec, ...] = tuple(tool.spec for tool in self._tools.values())

    @property
    def tools(self) -> tuple[BaseTool, ...]:
        """The tools, by name."""
        return tuple(self._tools.values())

    def resolve_name(self, call: ToolCall) -> ToolCall:
        """The call under the name of a tool that there is, where the model plainly means that one."""
        if call.name in self._tools or len(call.name) > LONGEST_NAME:
            return call
        bare = _TAIL.sub("", call.name)
        names = {_plain(name) for name in (bare, _NAMESPACE.sub("", bare), _NOT_IN_NAMES.sub("_", bare))}
        # of two tools that may be meant neither is: a wrong effect is worse than an error
        meant = [known for known in self._tools if _plain(known) in names]
        return replace(call, name=meant[0]) if len(meant) == 1 else call

    def check(self, call: ToolCall) -> Arguments | CallResult:
        """The arguments of a call that may run, or why it may not. Nothing is run here."""
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools) or "none"
            text = f"there is no tool {call.name[:64]!r}; there are: {names}"
            return refusal(CallOutcome.UNKNOWN_TOOL, text)
        try:
            return tool.check(_parse_arguments(call.arguments))
        except InvalidInputError as exc:
            return refusal(CallOutcome.INVALID_INPUT, str(exc))
        except ToolError as exc:
            return refusal(CallOutcome.FAILED, str(exc))

    async def execute(self, name: str, arguments: Arguments, context: RunContext) -> CallResult:
        """What came of a call whose arguments have passed `check`; raises nothing but a cancellation."""
        context.totals.tool_calls += 1
        return await self._calls[name](arguments, context)

    def record_refusal(self, call: ToolCall, result: CallResult, context: RunContext) -> None:
        """Count and log a call that may not run."""
        context.totals.tool_calls += 1
        observe(call.name if call.name in self._tools else UNKNOWN, context, result)

    async def call(self, call: ToolCall, context: RunContext) -> CallResult:
        """One call by itself: checked, executed and measured as in a run."""
        call = self.resolve_name(call)
        arguments = self.check(call)
        if isinstance(arguments, CallResult):
            self.record_refusal(call, arguments, context)
            return arguments
        return await self.execute(call.name, arguments, context)


def _plain(name: str) -> str:
    return _SEPARATOR.sub("", name.lower())


def call_signature(call: ToolCall) -> str:
    """The same text for calls that mean the same."""
    try:
        return f"{call.name} {canonical_json(_parse_arguments(call.arguments))}"
    except (InvalidInputError, RecursionError):
        return f"{call.name} {call.arguments}"


def sanitize_call(call: ToolCall) -> ToolCall:
    """The call as it may stand in the history: servers refuse names and arguments out of form for ever."""
    # 64 characters of these are what OpenAI takes; others take no less
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or UNKNOWN
    try:
        arguments = call.arguments if isinstance(_parse_arguments(call.arguments), dict) else "{}"
    except InvalidInputError:
        arguments = "{}"
    return replace(call, name=name, arguments=arguments.strip() or "{}")


def _parse_arguments(arguments: str) -> object:
    try:
        return json.loads(arguments, parse_constant=_reject_constant) if arguments.strip() else {}
    except (ValueError, RecursionError) as exc:
        msg = f"the arguments are not JSON: {exc}"
        raise InvalidInputError(msg) from exc


def _reject_constant(name: str) -> object:
    """Python reads NaN and Infinity; servers refuse a history that holds them."""
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)
