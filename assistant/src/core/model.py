"""What the service says to a model and hears from it, whatever the provider's protocol.

`ModelBackend` is the one interface that assistants know. Adapters map these types to a protocol;
nothing of a protocol's own shape travels further up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

JsonSchema = Mapping[str, Any]
TextSink = Callable[[str], None]
"""Receives an answer's text while it arrives: each time the whole of it so far.

A shorter text than before replaces it: the answer began anew, after a failure in
mid-stream or after a round of tool calls. Must not block and must not raise.
"""


def ignore_text(_text: str) -> None:
    """A `TextSink` for an answer that nobody watches grow."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `arguments` is JSON text as the model wrote it: perhaps broken."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user (or, to a sub-assistant, its caller) says."""

    text: str
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model said: text, tool calls, or both.

    `opaque` is what the provider wants back unchanged within the same run and nobody else can read
    (JSON text, such as encrypted reasoning); it is never stored with a turn.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    opaque: str = ""
    role: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """A tool's result, in answer to the call with this id."""

    call_id: str
    text: str
    role: Literal["tool"] = "tool"
    receipt: str = ""
    """What the call has done, in words for the user; never sent to a model."""


Message = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `schema` describes its arguments, top level `object`."""

    name: str
    description: str
    schema: JsonSchema


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more answers; `cached_tokens` are those of the input read from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model.

    `models` are tried in order. `tool_choice="none"` shows the tools but forbids to call them:
    taking them away would change the cached prefix, and some servers refuse a history with tool
    calls when no tools are given. `deadline` is a time of the event loop's clock by which the answer is
    wanted: while other models follow, one gets no more than an equal share of what is left until then.
    """

    models: tuple[str, ...]
    instructions: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    tool_choice: Literal["auto", "none"] = "auto"
    temperature: float | None = None
    max_output_tokens: int | None = None
    reasoning_effort: Literal["none"] | None = None
    """Of models that reason; None: what they do of themselves."""
    deadline: float | None = None
    repeat_bad_answers: bool = True
    """Whether the question is asked again after an unusable answer, which is paid for each time."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back: text or tool calls (or both), never neither."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    model: str
    """`provider/model` that answered, as the row named it: what usage is counted by."""
    opaque: str = ""
    """Goes into `AssistantMessage.opaque` of this answer."""
    without_tools: bool = False
    """The model takes no tools: it was asked without those of the request."""


class ModelBackend(Protocol):
    """Answers requests."""

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The whole answer.

        With `on_text` the answer is streamed, and `on_text` gets the text as it arrives.

        Raises:
            ModelUnavailableError: no usable answer now.
            ModelRefusedError: this request cannot be answered (ContextOverflowError: too long).
            UnknownProviderError: nobody configured the model's provider.
        """
        ...
