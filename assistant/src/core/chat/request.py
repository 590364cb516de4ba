"""Our requests in the Chat Completions protocol, as a provider's quirks want them."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..model import AssistantMessage, Message, ModelRequest, ToolMessage, ToolSpec, UserMessage
from ..providers.quirks import Quirks, with_model_quirks
from ..wire.strict import strict_schema
from ..wire.tool_calls import UniqueCallIds

_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def request_body(model: str, request: ModelRequest, quirks: Quirks, *, provider: str = "") -> dict[str, Any]:
    """The request as the protocol wants it; `model` is the provider's own name of it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            # first and unchanged in each request: providers cache the prefix
            {"role": "system", "content": request.instructions},
            *_messages(request.messages, quirks, provider),
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


def _messages(messages: Sequence[Message], quirks: Quirks, provider: str) -> Iterator[dict[str, Any]]:
    ids = UniqueCallIds()
    for place, message in enumerate(messages):
        match message:
            case UserMessage():
                yield {"role": "user", "content": message.text}
            case ToolMessage():
                call_id = _call_id(ids.of_result(message.call_id), quirks)
                yield {"role": "tool", "tool_call_id": call_id, "content": message.text}
            case AssistantMessage(tool_calls=()):
                yield {"role": "assistant", "content": message.text}
            case AssistantMessage():
                sent_ids = [_call_id(ids.of_call(call.id, place), quirks) for call in message.tool_calls]
                yield _calls_message(message, sent_ids, quirks, provider)


def _calls_message(
    message: AssistantMessage, sent_ids: Sequence[str], quirks: Quirks, provider: str
) -> dict[str, Any]:
    extras = unpack_extras(message.opaque, provider)
    # DeepSeek refuses the history of another model without the field
    blank = dict.fromkeys(quirks.message_extras, "") if quirks.blank_extras else {}
    return {
        "role": "assistant",
        # null, as OpenAI itself writes such a message
        "content": message.text or None,
        "tool_calls": [
            {
                "id": sent_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
                **extras["calls"].get(call.id, {}),
            }
            for sent_id, call in zip(sent_ids, message.tool_calls, strict=True)
        ],
        **blank,
        **extras["message"],
    }


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


def pack_extras(provider: str, message: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]]) -> str:
    """What `provider` wants back of an answer, for `AssistantMessage.opaque`; empty where it is nothing."""
    if not message and not any(calls.values()):
        return ""
    return json.dumps({"provider": provider, "message": message, "calls": calls}, ensure_ascii=False)


def unpack_extras(opaque: str, provider: str) -> dict[str, dict[str, Any]]:
    """What was packed, as fields of the `message` and of its `calls` by id; nothing of another provider's."""
    held = json.loads(opaque) if opaque else {}
    # signatures and reasoning of one provider are refused by another
    if not isinstance(held, dict) or held.get("provider") != provider:
        return {"message": {}, "calls": {}}
    return {"message": held["message"], "calls": held["calls"]}
