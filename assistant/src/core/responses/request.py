"""Our requests in the Responses protocol: instructions, tools and the history as items.

Shapes: https://platform.openai.com/docs/api-reference/responses; function tools are flat there, and
strict unless they say otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ...utils.text import compact_json
from ..model import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, ToolSpec, UserMessage
from ..tool_mode import is_reasoning_model
from ..wire.parsing import Wire
from ..wire.strict import strict_schema
from ..wire.tool_calls import UniqueCallIds

Item = dict[str, Any]

LEAST_OUTPUT = 16
"""Tokens; a smaller `max_output_tokens` is refused with 400 ("Expected a value >= 16")."""


class _Round(Wire):
    """What `AssistantMessage.opaque` holds: a round's output items, readable to this model alone."""

    model: str
    """`provider/model`."""
    items: list[Item]


def pack_round(model: str, items: Sequence[Item]) -> str:
    """A round's output for `AssistantMessage.opaque`; empty where it holds no reasoning to send back."""
    if not any(item.get("type") == "reasoning" for item in items):
        return ""
    return compact_json({"model": model, "items": items})


def response_body(
    model: str, request: ModelRequest, items: Sequence[Item], *, strict: bool
) -> dict[str, Any]:
    """The request; `strict` lets the provider hold the model to the tools' schemas where it can."""
    body: dict[str, Any] = {"model": model, "instructions": request.instructions, "input": list(items)}
    if request.tools:
        body["tools"] = [_tool(tool, strict=strict) for tool in request.tools]
        body["tool_choice"] = request.tool_choice
    if request.temperature is not None and not is_reasoning_model(model):
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = max(request.max_output_tokens, LEAST_OUTPUT)
    return body


def _tool(tool: ToolSpec, *, strict: bool) -> Item:
    narrowed = strict_schema(tool.schema) if strict else None
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema if narrowed is None else narrowed,
        "strict": narrowed is not None,
    }


def input_items(messages: Sequence[Message], *, model: str = "") -> list[Item]:
    """The messages as items; a round that `model` (`provider/model`) has made goes with its reasoning."""
    ids = UniqueCallIds()
    items = [item for message in messages for item in _items(message, model)]
    return [_with_unique_id(item, place, ids) for place, item in enumerate(items)]


def _with_unique_id(item: Item, place: int, ids: UniqueCallIds) -> Item:
    match item:
        case {"type": "function_call", "call_id": str(call_id)}:
            return item | {"call_id": ids.of_call(call_id, place)}
        case {"call_id": str(call_id)}:
            return item | {"call_id": ids.of_result(call_id)}
    return item


def _items(message: Message, model: str) -> Iterator[Item]:
    match message:
        case UserMessage(text=text):
            yield {"type": "message", "role": "user", "content": text}
        case ToolMessage(call_id=call_id, text=text):
            yield {"type": "function_call_output", "call_id": call_id, "output": text}
        case AssistantMessage():
            restored = _restore_items(message, model)
            yield from _new_items(message) if restored is None else restored


def _new_items(message: AssistantMessage) -> Iterator[Item]:
    if message.text:
        yield {"type": "message", "role": "assistant", "content": message.text}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _restore_items(message: AssistantMessage, model: str) -> list[Item] | None:
    """The round's own items, its calls as the history has them; None where another model made them."""
    if not message.opaque:
        return None
    try:
        made = _Round.model_validate_json(message.opaque)
    # the opaque of a round over Chat Completions
    except ValidationError:
        return None
    # reasoning is encrypted for the model that thought it
    if made.model != model:
        return None
    calls = {call.id: call for call in message.tool_calls}
    return [_restore_item(item, calls) for item in made.items]


def _restore_item(item: Item, calls: Mapping[str, ToolCall]) -> Item:
    call = calls.get(item.get("call_id", "")) if item.get("type") == "function_call" else None
    return item if call is None else item | {"name": call.name, "arguments": call.arguments}
