"""Items of the Responses protocol: messages, calls, outputs of calls, reasoning.

An item is kept as the JSON object that the API would give back. `to_messages` is the one place where
items become what the scripted model reads.
"""

from collections.abc import Callable, Sequence
from typing import get_args

from ..model.conversation import JsonObject, Message, Role, ToolCall
from .answering import Answer, new_id
from .checks import read_text
from .errors import ApiError, InvalidRequestError

SEALED = "sandbox-sealed-"
"""What encrypted reasoning begins with."""
_ROLES: dict[object, Role] = {role: role for role in get_args(Role) if role != "tool"} | {
    "developer": "system"
}

Lookup = Callable[[str], JsonObject | None]
"""Finds a kept item by its id."""


def read_items(value: object, *, where: str = "input", lookup: Lookup = lambda _id: None) -> list[JsonObject]:
    """The items of a request, each with an id; a string is a user's message. Raises ApiError."""
    if isinstance(value, str):
        return [message_item("user", (value,))]
    if not isinstance(value, list):
        raise InvalidRequestError(
            f"Invalid type for '{where}': expected one of a list of input items or a string.",
            param=where,
            code="invalid_type",
        )
    return [_item(f"{where}[{number}]", item, lookup) for number, item in enumerate(value)]


def message_item(role: str, texts: Sequence[str]) -> JsonObject:
    """A message; what the assistant said is `output_text`, all else `input_text`."""
    if role == "assistant":
        parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    else:
        parts = [{"type": "input_text", "text": text} for text in texts]
    return {"id": new_id("msg_"), "type": "message", "status": "completed", "role": role, "content": parts}


def output_items(answer: Answer, *, reasons: bool, sealed: bool) -> list[JsonObject]:
    """What an answer puts out; `reasons` begins it with a reasoning item, `sealed` for the client to keep."""
    items: list[JsonObject] = []
    if reasons:
        number = new_id("rs_")
        thought: JsonObject = {"id": number, "type": "reasoning", "summary": []}
        items.append(thought | {"encrypted_content": f"{SEALED}{number}"} if sealed else thought)
    items += [
        {
            "id": new_id("fc_"),
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in answer.calls
    ]
    if not answer.calls:
        message = message_item("assistant", (answer.text,))
        items.append(message | {"status": "incomplete"} if answer.cut else message)
    return items


def check_calls(items: Sequence[JsonObject]) -> None:
    """Every call has its output further down, and every output its call further up."""
    # a dictionary for its order: the error names the first open call
    open_calls: dict[object, None] = {}
    seen: set[object] = set()
    for item in items:
        call_id = item.get("call_id")
        if item["type"] == "function_call":
            open_calls[call_id] = None
            seen.add(call_id)
        elif item["type"] == "function_call_output":
            if call_id not in seen:
                raise InvalidRequestError(
                    f"No tool call found for function call output with call_id {call_id}.", param="input"
                )
            open_calls.pop(call_id, None)
    if open_calls:
        raise InvalidRequestError(
            f"No tool output found for function call {next(iter(open_calls))}.", param="input"
        )


def to_messages(instructions: str | None, items: Sequence[JsonObject]) -> tuple[Message, ...]:
    """The conversation as the model reads it; calls made at once become one message."""
    messages = [Message("system", (instructions,))] if instructions else []
    calls: list[ToolCall] = []
    for item in items:
        if item["type"] == "function_call":
            calls.append(ToolCall(item["call_id"], item["name"], item["arguments"]))
            continue
        # any other item ends a group of parallel calls
        if calls:
            messages.append(Message("assistant", tool_calls=tuple(calls)))
            calls = []
        if item["type"] == "message":
            messages.append(Message(_ROLES[item["role"]], read_text("input", item["content"])))
        elif item["type"] == "function_call_output":
            texts = read_text("input", item["output"])
            messages.append(Message("tool", texts, tool_call_id=item["call_id"]))
    return tuple(messages)


def _item(where: str, item: object, lookup: Lookup) -> JsonObject:
    if not isinstance(item, dict):
        raise InvalidRequestError(f"Invalid type for '{where}': expected an object.", param=where)
    kind = item.get("type", "message" if "role" in item else None)
    match kind:
        case "message":
            return _message(where, item)
        case "function_call":
            _need(where, item, "call_id", "name", "arguments")
            return _keep(item, "fc_") | {"status": "completed"}
        case "function_call_output":
            _need(where, item, "call_id")
            read_text(f"{where}.output", item.get("output"))
            return _keep(item, "fco_") | {"status": "completed"}
        case "reasoning":
            return _reasoning(where, item, lookup)
        case "item_reference":
            return _look_up(str(item.get("id")), lookup)
    raise InvalidRequestError(
        f"Invalid value: '{kind}'. Supported values are: 'message', 'function_call', "
        "'function_call_output', 'reasoning', and 'item_reference'.",
        param=f"{where}.type" if kind else where,
        code="invalid_value",
    )


def _message(where: str, item: JsonObject) -> JsonObject:
    role = item.get("role")
    if role not in _ROLES:
        raise InvalidRequestError(
            f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'.",
            param=f"{where}.role",
            code="invalid_value",
        )
    message = message_item(str(role), read_text(where, item.get("content")))
    return message | {"id": item["id"]} if isinstance(item.get("id"), str) else message


def _reasoning(where: str, item: JsonObject, lookup: Lookup) -> JsonObject:
    """Thoughts come back either sealed, or as ones that were stored."""
    _need(where, item, "id")
    sealed = item.get("encrypted_content")
    if sealed is None:
        return _look_up(item["id"], lookup)
    if sealed != f"{SEALED}{item['id']}":
        raise InvalidRequestError(
            f"The encrypted content for item {item['id']} could not be verified.",
            code="invalid_encrypted_content",
        )
    return dict(item)


def _look_up(number: str, lookup: Lookup) -> JsonObject:
    found = lookup(number)
    if found is None:
        raise ApiError(
            404,
            f"Item with id '{number}' not found. Items are not persisted when `store` is set to false. Try "
            "again with `store` set to true, or remove this item from your input.",
            param="input",
        )
    return found


def _keep(item: JsonObject, prefix: str) -> JsonObject:
    return {"id": new_id(prefix), **{name: value for name, value in item.items() if value is not None}}


def _need(where: str, item: JsonObject, *names: str) -> None:
    for name in names:
        if not isinstance(item.get(name), str):
            raise InvalidRequestError(
                f"Missing required parameter: '{where}.{name}'.",
                param=f"{where}.{name}",
                code="missing_required_parameter",
            )
