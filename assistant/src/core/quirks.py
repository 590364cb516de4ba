"""Where a provider or a model departs from OpenAI's Chat Completions, as data.

A server nobody described here gets what every server is known to take: `max_tokens`, no strict tools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


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


@dataclass(frozen=True, slots=True)
class ModelQuirk:
    """What holds for models whose name starts with one of `prefixes`, at whatever provider."""

    prefixes: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields to add to the request."""
    only_with_tools: bool = False
    temperature: bool = True
    """Whether the model takes one."""
    max_tokens: bool = True
    """Whether the field of that name is taken in Chat Completions; else only `max_completion_tokens` is."""


MODEL_QUIRKS = (
    # its page on developers.openai.com: Chat Completions calls functions only without reasoning
    ModelQuirk(("gpt-6-luna",), {"reasoning_effort": "none"}, only_with_tools=True),
    # developers.openai.com, guide "Reasoning": models that reason refuse a temperature and `max_tokens`
    # with 400; gateways in front of them pass both on as they come
    ModelQuirk(("o1", "o3", "o4", "gpt-5", "gpt-6"), temperature=False, max_tokens=False),
)


def with_model_quirks(body: dict[str, Any]) -> dict[str, Any]:
    """The request as the model it names takes it."""
    model = body["model"]
    for quirk in MODEL_QUIRKS:
        if not model.startswith(quirk.prefixes) or (quirk.only_with_tools and "tools" not in body):
            continue
        body = {**body, **quirk.fields}
        if not quirk.temperature:
            body.pop("temperature", None)
        if not quirk.max_tokens and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
    return body
