"""Answers of the Chat Completions protocol as they come, whole or a piece of a stream."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from ..wire.parsing import AsObject, AsObjects, Index, Text, Wire, Word
from ..wire.tool_calls import Call, Function


class ChatMessage(Wire):
    """What the model says, or what it adds; what else the object holds, a provider may want back."""

    model_config = ConfigDict(extra="allow")
    content: Text = ""
    refusal: Text = ""
    tool_calls: Annotated[list[Call], AsObjects] = Field(default_factory=list)
    function_call: Annotated[Function | None, AsObject] = None
    """The form before there were tools; some servers have kept it."""


class Choice(Wire):
    """One of the answers; but some servers put a text into one and its calls into another."""

    index: Index = None
    message: Annotated[ChatMessage | None, AsObject] = None
    delta: Annotated[ChatMessage | None, AsObject] = None
    finish_reason: Word = ""


class Completion(Wire):
    """A whole answer, or one chunk of it."""

    choices: Annotated[list[Choice], AsObjects] = Field(default_factory=list)
    usage: Any = None
