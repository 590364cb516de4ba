"""What goes into the model and what comes out, free of any wire format."""

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]

JsonObject = dict[str, Any]
"""A JSON object whose shape somebody else decides: a tool's arguments or its schema."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as it stands in the history; `arguments` is JSON text, not necessarily valid."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation. `parts` are its texts; most messages have one."""

    role: Role
    parts: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """All parts as one text."""
        return "\n".join(self.parts)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that is offered; `parameters` is its JSON Schema."""

    name: str
    description: str = ""
    parameters: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model wants."""

    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class Reply:
    """Either a text or calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()
