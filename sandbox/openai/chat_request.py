"""Reads a Chat Completions request, and refuses what the real API refuses, in its words."""

import json
import re
from dataclasses import dataclass
from typing import Any, get_args

from ..model.conversation import Message, Role, Tool, ToolCall
from .errors import InvalidRequestError

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_TOOLS = 128
_ROLES: dict[object, Role] = {role: role for role in get_args(Role)} | {"developer": "system"}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request. `tools` are those that may be called: none with tool_choice `none`."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    forced: str | None
    """The tool that must be called; `""` for any tool, None for a free choice."""
    parallel: bool
    stream: bool
    include_usage: bool
    max_tokens: int | None


def read_chat_request(body: bytes) -> ChatRequest:
    """The request in `body`; raises InvalidRequestError."""
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise InvalidRequestError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            "your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
        ) from exc
    if not isinstance(value, dict):
        raise InvalidRequestError("Invalid request: expected a JSON object.")
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("you must provide a model parameter")
    tools = _tools(value.get("tools"))
    choice = value.get("tool_choice")
    options = value.get("stream_options")
    return ChatRequest(
        model=model,
        messages=_messages(value.get("messages")),
        tools=() if choice == "none" else tools,
        forced=_forced(choice, tools),
        parallel=value.get("parallel_tool_calls") is not False,
        stream=value.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=_limit(value),
    )


def _limit(value: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = value.get(name)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidRequestError(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1.",
                param=name,
                code="integer_below_min_value",
            )
        return limit
    return None


def _tools(value: object) -> tuple[Tool, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise InvalidRequestError("[] is too short - 'tools'", param="tools")
    if len(value) > _MAX_TOOLS:
        raise InvalidRequestError(
            f"Invalid 'tools': array too long. Expected an array with maximum length {_MAX_TOOLS}, but got "
            "an array "
            f"with length {len(value)} instead.",
            param="tools",
            code="array_above_max_length",
        )
    return tuple(_tool(number, item) for number, item in enumerate(value))


def _tool(number: int, item: object) -> Tool:
    where = f"tools[{number}]"
    if (
        not isinstance(item, dict)
        or item.get("type") != "function"
        or not isinstance(item.get("function"), dict)
    ):
        raise InvalidRequestError(
            f"Missing required parameter: '{where}.function'.", param=f"{where}.function"
        )
    function = item["function"]
    name = function.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise InvalidRequestError(
            f"Invalid '{where}.function.name': string does not match pattern. Expected a string that "
            "matches the "
            "pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{where}.function.name",
            code="invalid_value",
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    kind = parameters.get("type") if isinstance(parameters, dict) else None
    if kind != "object":
        raise InvalidRequestError(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got "
            f"'type: \"{kind}\"'.",
            param=f"{where}.function.parameters",
            code="invalid_function_parameters",
        )
    return Tool(name=name, description=str(function.get("description") or ""), parameters=parameters)


def _forced(choice: object, tools: tuple[Tool, ...]) -> str | None:
    if choice is None or choice in ("none", "auto"):
        return None
    if not tools:
        raise InvalidRequestError(
            "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice"
        )
    if choice == "required":
        return ""
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in {tool.name for tool in tools}:
        raise InvalidRequestError(
            f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice"
        )
    return str(name)


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise InvalidRequestError("Missing required parameter: 'messages'.", param="messages")
    if not value:
        raise InvalidRequestError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
            "array "
            "instead.",
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
            "'function', 'tool', and "
            "'developer'.",
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
        parts=_parts(where, item.get("content"), may_be_absent=bool(calls)),
        tool_calls=calls,
        tool_call_id=call_id if role == "tool" else None,
    )


def _parts(where: str, content: object, *, may_be_absent: bool) -> tuple[str, ...]:
    if isinstance(content, str):
        return (content,)
    if isinstance(content, list):
        return tuple(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if content is None and may_be_absent:
        return ()
    got = "null" if content is None else type(content).__name__
    raise InvalidRequestError(
        f"Invalid value for 'content': expected a string, got {got}.", param=f"{where}.content"
    )


def _calls(where: str, value: object) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise InvalidRequestError(
            f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1, but got "
            "an empty "
            "array instead.",
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
                    "message with "
                    "'tool_calls'.",
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
