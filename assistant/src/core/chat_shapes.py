"""Answers of the Chat Completions protocol as they come, whole or a piece of a stream."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from .wire import AsObject, AsObjects, Index, Text, Wire, Word


class Function(Wire):
    """The name and the arguments of a call; a piece may hold a part of either."""

    name: Word = ""
    arguments: Any = None


class Call(Wire):
    """A call of a tool, or a piece of one."""

    model_config = ConfigDict(extra="allow")
    index: Index = None
    id: Word = ""
    function: Function = Field(default_factory=Function)

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Some servers put name and arguments beside the id instead of into `function`."""
        nested = isinstance(value.get("function"), dict | Function)
        return (
            value
            if nested
            else {**value, "function": {"name": value.get("name"), "arguments": value.get("arguments")}}
        )


class Said(Wire):
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
    message: Annotated[Said | None, AsObject] = None
    delta: Annotated[Said | None, AsObject] = None
    finish_reason: Word = ""


class Completion(Wire):
    """A whole answer, or one chunk of it."""

    choices: Annotated[list[Choice], AsObjects] = Field(default_factory=list)
    usage: Any = None
