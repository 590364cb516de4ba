"""Answers of the Chat Completions protocol as they come, whole or a piece of a stream."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

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

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Some servers write a text in the place of the message, or as if there was no chat yet."""
        said = {
            key: {"content": value[key]} for key in ("message", "delta") if isinstance(value.get(key), str)
        }
        if isinstance(value.get("text"), str) and not value.get("message") and not value.get("delta"):
            said = {"delta": {"content": value["text"]}}
        return value | said


class Completion(Wire):
    """A whole answer, or one chunk of it."""

    choices: Annotated[list[Choice], AsObjects] = Field(default_factory=list)
    usage: Any = None
