"""Our types to and from the Chat Completions protocol.

Reading is tolerant where compatible servers differ (content as parts, missing or repeated call ids,
arguments as an object) and strict where an answer would be none.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import BadAnswerError
from .model import (
    AssistantMessage,
    Message,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from .quirks import quirk_fields


def request_body(model: str, request: ModelRequest) -> dict[str, Any]:
    """The request as the protocol wants it; `model` is the provider's own name of it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": request.instructions},
            *(_message(message) for message in request.messages),
        ],
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice != "auto":
            body["tool_choice"] = request.tool_choice
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    return body | quirk_fields(model, with_tools=bool(request.tools))


def _message(message: Message) -> dict[str, Any]:
    match message:
        case UserMessage():
            return {"role": "user", "content": message.text}
        case ToolMessage():
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case AssistantMessage(tool_calls=()):
            return {"role": "assistant", "content": message.text}
        case AssistantMessage():
            return {
                "role": "assistant",
                "content": message.text or None,
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments},
                    }
                    for call in message.tool_calls
                ],
            }


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
    }


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Function(_Wire):
    name: str
    arguments: str | dict[str, Any] | None = None


class _Call(_Wire):
    id: str | None = None
    function: _Function


class _Part(_Wire):
    type: str = "text"
    text: str | None = None


class _Said(_Wire):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Wire):
    message: _Said
    finish_reason: str | None = None


class _CachedTokens(_Wire):
    cached_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None


class _Completion(_Wire):
    model: str | None = None
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def parse_answer(payload: bytes, asked_model: str) -> ModelAnswer:
    """The answer in a response's body.

    Raises:
        BadAnswerError: it is not JSON, has no choices, or neither text nor tool calls.
    """
    try:
        completion = _Completion.model_validate_json(payload)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"not a chat completion: {place or 'body'}: {first['msg']}"
        raise BadAnswerError(msg) from exc
    choice = completion.choices[0]
    text = _text(choice.message)
    calls = _calls(choice.message.tool_calls or [])
    if not text.strip() and not calls:
        msg = f"an empty answer (finish_reason {choice.finish_reason!r})"
        raise BadAnswerError(msg)
    return ModelAnswer(
        text=text, tool_calls=calls, usage=_used(completion.usage), model=completion.model or asked_model
    )


def _text(said: _Said) -> str:
    if isinstance(said.content, list):
        text = "".join(part.text or "" for part in said.content if part.type in {"text", "output_text"})
    else:
        text = said.content or ""
    return text or said.refusal or ""


def _calls(calls: list[_Call]) -> tuple[ToolCall, ...]:
    """Every call with an id of its own, for each result names the call it answers."""
    seen: set[str] = set()
    result: list[ToolCall] = []
    for number, call in enumerate(calls, 1):
        call_id = call.id or f"call_{number}"
        while call_id in seen:
            call_id += f"_{number}"
        seen.add(call_id)
        arguments = call.function.arguments
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        result.append(ToolCall(id=call_id, name=call.function.name, arguments=arguments or "{}"))
    return tuple(result)


def _used(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )
