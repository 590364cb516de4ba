"""What all protocols check alike: the body, tools, limits, choices. Refusals are in OpenAI's words."""

import json
import re

from ..model.conversation import JsonObject, Tool
from .errors import InvalidRequestError
from .strict_schema import check_strict

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_TOOLS = 128
_MAX_METADATA = 16


def read_object(body: bytes) -> JsonObject:
    """The JSON object in `body`, empty for an empty body; raises InvalidRequestError."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidRequestError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
            "valid JSON.)"
        ) from exc
    if not isinstance(value, dict):
        raise InvalidRequestError("Invalid request: expected a JSON object.")
    return value


def read_model(body: JsonObject) -> str:
    """The model's name; every name is welcome."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("you must provide a model parameter")
    return model


def read_limit(body: JsonObject, *names: str, lowest: int = 1) -> int | None:
    """The token limit under the first of `names` that is there."""
    for name in names:
        limit = body.get(name)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < lowest:
            raise InvalidRequestError(
                f"Invalid '{name}': integer below minimum value. Expected a value >= {lowest}, but got "
                f"{limit} instead.",
                param=name,
                code="integer_below_min_value",
            )
        return limit
    return None


def read_metadata(body: JsonObject) -> dict[str, str]:
    """Up to 16 pairs of strings."""
    value = body.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InvalidRequestError(
            "Invalid type for 'metadata': expected an object of strings.", param="metadata"
        )
    if len(value) > _MAX_METADATA:
        raise InvalidRequestError(
            f"Invalid 'metadata': too many properties. Expected an object with at most {_MAX_METADATA} "
            f"properties, but got an object with {len(value)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    return value


def read_tool_list(body: JsonObject) -> list[object]:
    """The `tools` as they are, checked for their number."""
    value = body.get("tools")
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequestError("Invalid type for 'tools': expected an array of objects.", param="tools")
    if len(value) > _MAX_TOOLS:
        raise InvalidRequestError(
            f"Invalid 'tools': array too long. Expected an array with maximum length {_MAX_TOOLS}, but got "
            f"an array with length {len(value)} instead.",
            param="tools",
            code="array_above_max_length",
        )
    return value


def read_nested_tools(body: JsonObject) -> tuple[Tool, ...]:
    """Functions as Chat Completions and the classic assistants write them: `{"function": {…}}`."""
    tools = []
    for number, item in enumerate(read_tool_list(body)):
        where = f"tools[{number}]"
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(item, dict) or item.get("type") != "function" or not isinstance(function, dict):
            raise InvalidRequestError(
                f"Missing required parameter: '{where}.function'.", param=f"{where}.function"
            )
        tools.append(read_function(f"{where}.function", function))
    return tuple(tools)


def read_function(where: str, function: JsonObject) -> Tool:
    """One function; `where` is its place in the body."""
    name = function.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise InvalidRequestError(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the "
            "pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{where}.name",
            code="invalid_value",
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    kind = parameters.get("type") if isinstance(parameters, dict) else None
    if kind != "object":
        raise InvalidRequestError(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got "
            f"'type: \"{kind}\"'.",
            param=f"{where}.parameters",
            code="invalid_function_parameters",
        )
    if function.get("strict") is True:
        check_strict(name, parameters, param=f"{where}.parameters")
    return Tool(name=name, description=str(function.get("description") or ""), parameters=parameters)


def read_forced(choice: object, tools: tuple[Tool, ...]) -> str | None:
    """The tool that must be called; `""` for any, None for a free choice."""
    if choice is None or choice in ("none", "auto"):
        return None
    if not tools:
        raise InvalidRequestError(
            "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice"
        )
    if choice == "required":
        return ""
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in {tool.name for tool in tools}:
        raise InvalidRequestError(
            f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice"
        )
    return str(name)


def read_text(where: str, content: object, *, optional: bool = False) -> tuple[str, ...]:
    """The texts of a message's `content`: a string, or parts of which those with a text count."""
    if isinstance(content, str):
        return (content,)
    if isinstance(content, list):
        return tuple(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if content is None and optional:
        return ()
    got = "null" if content is None else type(content).__name__
    raise InvalidRequestError(
        f"Invalid value for 'content': expected a string, got {got}.", param=f"{where}.content"
    )
