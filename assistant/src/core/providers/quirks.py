"""Where a provider or a model departs from OpenAI's Chat Completions, as data.

A server nobody described here gets what every server is known to take: `max_tokens`, no strict tools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..tool_mode import ToolMode, is_reasoning_model, tool_mode_of


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one provider wants its requests, and what it wants back of its answers."""

    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field for the most tokens of an answer."""
    stream_options: bool = True
    """Whether a stream's usage must and may be asked for."""
    tool_choice_none: bool = True
    """Whether tools may be shown and forbidden; where not, the last request goes without tools."""
    strict_tools: bool = False
    """Whether a tool's arguments can be held to its schema while the model writes them."""
    short_call_ids: bool = False
    """Whether ids of tool calls must be 9 letters and digits."""
    message_extras: tuple[str, ...] = ()
    """Fields of an answer that the next requests of the same run must repeat."""
    call_extras: tuple[str, ...] = ()
    """The same, of a tool call."""
    blank_extras: bool = False
    """Whether `message_extras` must be there, empty, where the message came from elsewhere."""
    context_tokens: int | None = None
    """The window of all its models, where `windows` does not know better."""
    windows: Mapping[str, int] = field(default_factory=dict)
    """Windows by the beginning of a model's name; the longest that fits counts."""

    def window_of(self, model: str) -> int | None:
        """Tokens that `model` takes, answer included; None: not known."""
        fitting = [prefix for prefix in self.windows if model.startswith(prefix)]
        return self.windows[max(fitting, key=len)] if fitting else self.context_tokens


def with_model_quirks(body: dict[str, Any]) -> dict[str, Any]:
    """The request as the model it names takes it, at whatever provider."""
    model = body["model"]
    if "tools" in body and tool_mode_of(model) is ToolMode.WITHOUT_REASONING:
        body = {"reasoning_effort": "none", **body}
    if is_reasoning_model(model):
        # gateways in front of such models pass both on as they come
        body = {name: value for name, value in body.items() if name != "temperature"}
        if "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
    return body
