"""Reads a Chat Completions request, and refuses what the real API refuses, in its words."""

from dataclasses import dataclass
from typing import get_args

from ..model.conversation import JsonObject, Message, Role, ToolCall
from .answering import Question
from .checks import read_forced, read_limit, read_model, read_nested_tools, read_text
from .errors import InvalidRequestError

_ROLES: dict[object, Role] = {role: role for role in get_args(Role)} | {"developer": "system"}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request."""

    model: str
    question: Question
    stream: bool
    include_usage: bool


def read_chat_request(body: JsonObject) -> ChatRequest:
    """The request in `body`; raises InvalidRequestError."""
    model = read_model(body)
    if body.get("tools") == []:
        raise InvalidRequestError("[] is too short - 'tools'", param="tools")
    tools = read_nested_tools(body)
    choice = body.get("tool_choice")
    options = body.get("stream_options")
    return ChatRequest(
        model=model,
        question=Question(
            messages=_messages(body.get("messages")),
            tools=() if choice == "none" else tools,
            forced=read_forced(choice, tools),
            parallel=body.get("parallel_tool_calls") is not False,
            max_tokens=read_limit(body, "max_completion_tokens", "max_tokens"),
        ),
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise InvalidRequestError("Missing required parameter: 'messages'.", param="messages")
    if not value:
        raise InvalidRequestError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead.",
            param="messages",
            code="empty_array",
        )
    messages = tuple(_message(number, item) for number, item in enumerate(value))
    _check_calls(messages)
    return messages


def _message(number: int, item: object) -> Message:
    where = f"messages[{number}]"
    if not isinstance(item, dict):
        raise InvalidRequestError(f"Invalid type for '{where}': expected an object.", param=where)
    role = _ROLES.get(item["role"]) if isinstance(item.get("role"), str) else None
    if role is None:
        raise InvalidRequestError(
            f"Invalid value: '{item.get('role')}'. Supported values are: 'system', 'assistant', 'user', "
            "'function', 'tool', and 'developer'.",
            param=f"{where}.role",
            code="invalid_value",
        )
    calls = _calls(where, item.get("tool_calls")) if role == "assistant" else ()
    call_id = item.get("tool_call_id")
    if role == "tool" and not isinstance(call_id, str):
        raise InvalidRequestError(
            f"Missing required parameter: '{where}.tool_call_id'.", param=f"{where}.tool_call_id"
        )
    return Message(
        role=role,
        parts=read_text(where, item.get("content"), optional=bool(calls)),
        tool_calls=calls,
        tool_call_id=call_id if role == "tool" else None,
    )


def _calls(where: str, value: object) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise InvalidRequestError(
            f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            param=f"{where}.tool_calls",
            code="empty_array",
        )
    calls = []
    for number, item in enumerate(value):
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(item.get("id"), str):
            raise InvalidRequestError(
                f"Missing required parameter: '{where}.tool_calls[{number}].id'.",
                param=f"{where}.tool_calls[{number}]",
            )
        calls.append(ToolCall(item["id"], str(function.get("name", "")), str(function.get("arguments", ""))))
    return tuple(calls)


def _check_calls(messages: tuple[Message, ...]) -> None:
    """Every call is answered directly after it, and every answer has its call."""
    open_calls: dict[str, None] = {}
    for number, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise InvalidRequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding "
                    "message with 'tool_calls'.",
                    param=f"messages.[{number}].role",
                )
            del open_calls[message.tool_call_id]
            continue
        _refuse_open(open_calls, number)
        open_calls = dict.fromkeys(call.id for call in message.tool_calls)
    _refuse_open(open_calls, len(messages))


def _refuse_open(open_calls: dict[str, None], number: int) -> None:
    if open_calls:
        raise InvalidRequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(open_calls)}",
            param=f"messages.[{number}].role",
        )
