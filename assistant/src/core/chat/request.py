"""Our requests in the Chat Completions protocol, as a provider's quirks want them."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, ToolSpec, UserMessage
from ..providers.quirks import Quirks, with_model_quirks
from ..wire.strict import strict_schema

_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def request_body(model: str, request: ModelRequest, quirks: Quirks, *, provider: str = "") -> dict[str, Any]:
    """The request as the protocol wants it; `model` is the provider's own name of it."""
    messages = (_message(message, quirks, provider) for message in request.messages)
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": request.instructions},
            *_with_own_ids(messages, quirks),
        ],
    }
    if request.tools and (request.tool_choice == "auto" or quirks.tool_choice_none):
        body["tools"] = [_tool(tool, strict=quirks.strict_tools) for tool in request.tools]
        if request.tool_choice != "auto":
            body["tool_choice"] = request.tool_choice
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body[quirks.output_limit] = request.max_output_tokens
    if request.reasoning_effort is not None:
        body["reasoning_effort"] = request.reasoning_effort
    return with_model_quirks(body)


def streaming(body: dict[str, Any], quirks: Quirks) -> dict[str, Any]:
    """The same request, its answer to be streamed."""
    options = {"stream_options": {"include_usage": True}} if quirks.stream_options else {}
    return body | {"stream": True} | options


def _message(message: Message, quirks: Quirks, provider: str) -> dict[str, Any]:
    match message:
        case UserMessage():
            return {"role": "user", "content": message.text}
        case ToolMessage():
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case AssistantMessage(tool_calls=()):
            return {"role": "assistant", "content": message.text}
        case AssistantMessage():
            return _calling(message, quirks, provider)


def _calling(message: AssistantMessage, quirks: Quirks, provider: str) -> dict[str, Any]:
    extras = unpacked(message.opaque, provider)
    blank = dict.fromkeys(quirks.message_extras, "") if quirks.blank_extras else {}
    return {
        "role": "assistant",
        "content": message.text or None,
        "tool_calls": [_call(call) | extras["calls"].get(call.id, {}) for call in message.tool_calls],
        **blank,
        **extras["message"],
    }


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _with_own_ids(messages: Iterable[dict[str, Any]], quirks: Quirks) -> Iterator[dict[str, Any]]:
    """The messages, each call under an id of its own, in the form that the provider wants.

    Servers that give calls no ids, or number them anew in each answer, leave one id in several rounds.
    """
    shown: dict[str, str] = {}
    for number, message in enumerate(messages):
        if "tool_calls" in message:
            for call in message["tool_calls"]:
                given = call["id"]
                own = f"{given}_{number}" if given in shown else given
                call["id"] = shown[given] = _call_id(own, quirks)
        elif message["role"] == "tool":
            call_id = message["tool_call_id"]
            message["tool_call_id"] = shown.get(call_id) or _call_id(call_id, quirks)
        yield message


def _call_id(call_id: str, quirks: Quirks) -> str:
    """The id, or what stands for it where the provider wants it short: the same for the same id."""
    if not quirks.short_call_ids or _SHORT_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _tool(tool: ToolSpec, *, strict: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    held = strict_schema(tool.schema) if strict else None
    function |= {"parameters": tool.schema} if held is None else {"parameters": held, "strict": True}
    return {"type": "function", "function": function}


def packed(provider: str, message: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]]) -> str:
    """What `provider` wants back of an answer, for `AssistantMessage.opaque`; empty where it is nothing."""
    if not message and not any(calls.values()):
        return ""
    return json.dumps({"provider": provider, "message": message, "calls": calls}, ensure_ascii=False)


def unpacked(opaque: str, provider: str) -> dict[str, dict[str, Any]]:
    """What was packed, as fields of the `message` and of its `calls` by id; nothing of another provider's."""
    held = json.loads(opaque) if opaque else {}
    if not isinstance(held, dict) or held.get("provider") != provider:
        return {"message": {}, "calls": {}}
    return {"message": held["message"], "calls": held["calls"]}
