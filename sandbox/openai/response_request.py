"""Reads a request of the Responses protocol, and refuses what the real API refuses."""

from dataclasses import dataclass

from ..model.conversation import JsonObject, Tool
from .checks import read_forced, read_function, read_limit, read_metadata, read_model, read_tool_list
from .errors import InvalidRequestError

_LEAST_TOKENS = 16
_NOT_PLAYED = ("background", "prompt")


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A checked request; `body` is what the response repeats of it."""

    body: JsonObject
    model: str
    instructions: str | None
    tools: tuple[Tool, ...]
    forced: str | None
    max_tokens: int | None
    conversation: str | None
    previous: str | None
    metadata: dict[str, str]
    reasons: bool
    """The answer begins with a reasoning item."""
    sealed: bool
    """That item carries its content encrypted, for a client that keeps the conversation itself."""

    @property
    def stream(self) -> bool:
        """Whether events are wanted."""
        return self.body.get("stream") is True

    @property
    def store(self) -> bool:
        """Whether the response can be asked for later."""
        return self.body.get("store") is not False

    @property
    def parallel(self) -> bool:
        """Whether several calls at once are welcome."""
        return self.body.get("parallel_tool_calls") is not False


def read_response_request(body: JsonObject) -> ResponseRequest:
    """The request in `body`, its input still unread; raises InvalidRequestError."""
    model = read_model(body)
    for name in _NOT_PLAYED:
        if body.get(name):
            raise InvalidRequestError(f"Unsupported parameter: '{name}' is not played here.", param=name)
    conversation, previous = _conversation(body.get("conversation")), _text(body, "previous_response_id")
    if conversation and previous:
        raise InvalidRequestError(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are only "
            "providing one of them.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if body.get("input") is None and not conversation and not previous:
        raise InvalidRequestError(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
            param="input",
            code="missing_required_parameter",
        )
    tools = _tools(body)
    choice = body.get("tool_choice")
    reasoning, include = body.get("reasoning"), body.get("include")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    sealed = isinstance(include, list) and "reasoning.encrypted_content" in include
    return ResponseRequest(
        body=body,
        model=model,
        instructions=_text(body, "instructions"),
        tools=() if choice == "none" else tools,
        forced=read_forced(choice, tools),
        max_tokens=read_limit(body, "max_output_tokens", lowest=_LEAST_TOKENS),
        conversation=conversation,
        previous=previous,
        metadata=read_metadata(body),
        reasons=effort != "none" if sealed else effort not in (None, "none"),
        sealed=sealed,
    )


def _tools(body: JsonObject) -> tuple[Tool, ...]:
    tools = []
    for number, item in enumerate(read_tool_list(body)):
        where = f"tools[{number}]"
        if not isinstance(item, dict) or item.get("type") != "function":
            kind = item.get("type") if isinstance(item, dict) else item
            raise InvalidRequestError(
                f"Invalid value: '{kind}'. Supported values are: 'function'.",
                param=f"{where}.type",
                code="invalid_value",
            )
        if "name" not in item:
            raise InvalidRequestError(
                f"Missing required parameter: '{where}.name'.",
                param=f"{where}.name",
                code="missing_required_parameter",
            )
        tools.append(read_function(where, item))
    return tuple(tools)


def _conversation(value: object) -> str | None:
    """`"conv_…"` or `{"id": "conv_…"}`."""
    number = value.get("id") if isinstance(value, dict) else value
    if number is None:
        return None
    if not isinstance(number, str) or not number.startswith("conv_"):
        raise InvalidRequestError(
            f"Invalid 'conversation.id': '{number}'. Expected an ID that begins with 'conv_'.",
            param="conversation.id",
            code="invalid_value",
        )
    return number


def _text(body: JsonObject, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(
            f"Invalid type for '{name}': expected a string.", param=name, code="invalid_type"
        )
    return value
