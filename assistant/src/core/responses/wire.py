"""The Responses protocol, both directions: our types to its items, its answer to ours.

Shapes: https://platform.openai.com/docs/api-reference/responses; function tools are flat there, and
strict unless they say otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from ...utils.text import compact_json
from ..errors import BadAnswerError, ContentRefusedError, ModelRefusedError
from ..model import (
    AssistantMessage,
    Message,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from ..providers import bounds
from ..providers.refusals import error_in_answer, refusal
from ..tools_way import reasons
from ..wire.parsing import AsObject, AsObjects, Wire, Word, cleaned, objects, shaped, text_of, usage_of
from ..wire.strict import strict_schema
from ..wire.thoughts import without_thoughts
from ..wire.tool_calls import WrittenCall, tool_calls

Item = dict[str, Any]

LEAST_OUTPUT = 16
"""Tokens; a smaller `max_output_tokens` is refused with 400 ("Expected a value >= 16")."""
_FAULTS_OF_THE_SERVER = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})
"""Codes of a failed response that another try may get over."""


class _Output(Wire):
    # kept whole: what is not understood here (reasoning) goes back to the provider as it came
    model_config = ConfigDict(extra="allow")

    type: Word = ""
    content: Any = None
    call_id: Word = ""
    name: Word = ""
    arguments: Any = None


class _Error(Wire):
    code: Word = ""
    message: Word = "no reason given"


class _Incomplete(Wire):
    reason: Word = ""


class Response(Wire):
    """A response object, as far as it is used."""

    status: Word = ""
    output: Annotated[list[_Output], AsObjects] = Field(default_factory=list)
    error: Annotated[_Error | None, AsObject] = None
    incomplete_details: Annotated[_Incomplete | None, AsObject] = None
    usage: Any = None


class _Opaque(Wire):
    """What `AssistantMessage.opaque` holds: a round's output items, readable to this model alone."""

    model: str
    """`provider/model`."""
    items: list[Item]


def response_body(
    model: str, request: ModelRequest, items: Sequence[Item], *, strict: bool
) -> dict[str, Any]:
    """The request; `strict` lets the provider hold the model to the tools' schemas where it can."""
    body: dict[str, Any] = {"model": model, "instructions": request.instructions, "input": list(items)}
    if request.tools:
        body["tools"] = [_tool(tool, strict=strict) for tool in request.tools]
        body["tool_choice"] = request.tool_choice
    if request.temperature is not None and not reasons(model):
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
    items = [item for message in messages for item in _items(message, model)]
    return list(_with_unique_calls(items))


def _items(message: Message, model: str) -> Iterator[Item]:
    match message:
        case UserMessage(text=text):
            yield {"type": "message", "role": "user", "content": text}
        case ToolMessage(call_id=call_id, text=text):
            yield {"type": "function_call_output", "call_id": call_id, "output": text}
        case AssistantMessage():
            kept = _kept_items(message, model)
            yield from _said(message) if kept is None else kept


def _said(message: AssistantMessage) -> Iterator[Item]:
    if message.text:
        yield {"type": "message", "role": "assistant", "content": message.text}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _kept_items(message: AssistantMessage, model: str) -> list[Item] | None:
    """The round's own items, its calls as the history has them; None where another model made them."""
    if not message.opaque:
        return None
    try:
        opaque = _Opaque.model_validate_json(message.opaque)
    except ValidationError:
        return None
    if opaque.model != model:
        return None
    calls = {call.id: call for call in message.tool_calls}
    return [_as_remembered(item, calls) for item in opaque.items]


def _as_remembered(item: Item, calls: Mapping[str, ToolCall]) -> Item:
    call = calls.get(item.get("call_id", "")) if item.get("type") == "function_call" else None
    return item if call is None else item | {"name": call.name, "arguments": call.arguments}


def _with_unique_calls(items: Sequence[Item]) -> Iterator[Item]:
    """The items, with another id for a call whose id an earlier one has.

    Servers of fallback models number their calls anew in each answer; here an id names one call.
    """
    made: dict[str, str] = {}
    for number, item in enumerate(items):
        call_id = item.get("call_id")
        if call_id is None:
            yield item
        elif item["type"] == "function_call":
            unique = f"{call_id}_{number}" if call_id in made else call_id
            made[call_id] = unique
            yield item | {"call_id": unique}
        else:
            yield item | {"call_id": made.get(call_id, call_id)}


def parse_response(value: object) -> Response:
    """The response object in a decoded body or event.

    Raises:
        BadAnswerError: it is none.
        ModelError: it is an error of the provider.
    """
    is_response = isinstance(value, dict) and value.get("status")
    if not is_response and (error := error_in_answer(value)) is not None:
        raise error
    return shaped(Response, cleaned(value), "a response")


def answer_of(response: Response, *, model: str, provider: str) -> ModelAnswer:
    """What the response says.

    Raises:
        BadAnswerError: it is not finished, or empty, or ends within a call.
        AnswerTooLargeError: it has too much text, or too many calls.
        ModelUnavailableError: it failed for a reason that may pass.
        ModelRefusedError: it failed for good, or there was no room for an answer.
    """
    if response.status == "failed":
        error = response.error or _Error()
        raise refusal(
            error.message, status=None if error.code in _FAULTS_OF_THE_SERVER else 400, code=error.code
        )
    if response.status not in {"completed", "incomplete", ""}:
        msg = f"a response that is {response.status[:20]}"
        raise BadAnswerError(msg)
    text = without_thoughts("\n\n".join(filter(None, map(_said_in, response.output))))
    bounds.check_size(len(text), bounds.TEXT, "characters")
    made = [item for item in response.output if item.type == "function_call"]
    calls = tool_calls([_written(item) for item in made])
    if response.status == "incomplete":
        _check_cut(response, text, calls)
    if not text.strip() and not calls:
        raise BadAnswerError("an empty answer")
    for item, call in zip(made, calls, strict=True):
        item.call_id = call.id
    name = f"{provider}/{model}"
    return ModelAnswer(
        text=text,
        tool_calls=calls,
        usage=usage_of(name, response.usage, input_key="input_tokens", output_key="output_tokens"),
        model=name,
        opaque=_opaque(name, response.output) if calls else "",
    )


def _check_cut(response: Response, text: str, calls: tuple[ToolCall, ...]) -> None:
    """A text that was cut is an answer; a call that was cut is none."""
    reason = response.incomplete_details.reason if response.incomplete_details else ""
    if calls:
        msg = f"the answer ends within a call ({reason})"
        raise BadAnswerError(msg)
    if not text.strip():
        msg = f"no answer: {reason}"
        raise (ContentRefusedError if reason == "content_filter" else ModelRefusedError)(msg, code=reason)


def _said_in(item: _Output) -> str:
    if item.type != "message":
        return ""
    if not isinstance(item.content, list):
        return text_of(item.content)
    return "".join(text_of(part) or text_of(part.get("refusal")) for part in objects(item.content))


def _written(item: _Output) -> WrittenCall:
    if not item.name:
        raise BadAnswerError("a call without a name")
    return WrittenCall(item.call_id or text_of((item.model_extra or {}).get("id")), item.name, item.arguments)


def _opaque(model: str, output: Sequence[_Output]) -> str:
    if not any(item.type == "reasoning" for item in output):
        return ""
    return compact_json({"model": model, "items": [item.model_dump(exclude_unset=True) for item in output]})
