"""Answers of the Responses protocol as ours: the response object, whole or as the last event of a stream."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from ...utils.text import is_blank
from ..errors import BadAnswerError, ContentRefusedError, ModelRefusedError
from ..model import ModelAnswer, ToolCall
from ..providers import bounds
from ..providers.refusals import classify_refusal, find_error
from ..wire.calls_in_text import extract_calls
from ..wire.parsing import (
    AsObject,
    AsObjects,
    Failure,
    Incomplete,
    Wire,
    Word,
    drop_surrogates,
    objects,
    read_text,
    read_usage,
    validate_as,
)
from ..wire.tool_calls import RawCall, read_tool_calls
from .request import pack_round

_FAULTS_OF_THE_SERVER = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout", ""})
"""Codes of a failed response that another try may get over; without any, nobody said that it may not."""


class _Output(Wire):
    # kept whole: what is not understood here (reasoning) goes back to the provider as it came
    model_config = ConfigDict(extra="allow")

    type: Word = ""
    content: Any = None
    call_id: Word = ""
    name: Word = ""
    arguments: Any = None


class Response(Wire):
    """A response object, as far as it is used."""

    status: Word = ""
    output: Annotated[list[_Output], AsObjects] = Field(default_factory=list)
    error: Annotated[Failure | None, AsObject] = None
    incomplete_details: Annotated[Incomplete | None, AsObject] = None
    usage: Any = None


def parse_response(value: object) -> Response:
    """The response object in a decoded body or event.

    Raises:
        BadAnswerError: it is something else.
        ModelError: it is an error of the provider.
    """
    is_response = isinstance(value, dict) and value.get("status")
    if not is_response and (error := find_error(value)) is not None:
        raise error
    return validate_as(Response, drop_surrogates(value), "a response")


def answer_of(
    response: Response, *, model: str, provider: str, tools: Collection[str] | None = None
) -> ModelAnswer:
    """What the response says; `tools` are the names of calls that may stand in its text.

    Raises:
        BadAnswerError: it is not finished, or empty, or ends within a call.
        AnswerTooLargeError: it has too much text, or too many calls.
        ModelUnavailableError: it failed for a reason that may pass.
        ModelRefusedError: it failed for good, or there was no room for an answer.
    """
    if response.status == "failed":
        error = response.error or Failure()
        raise classify_refusal(
            error.message, status=None if error.code in _FAULTS_OF_THE_SERVER else 400, code=error.code
        )
    if response.status not in {"completed", "incomplete", ""}:
        msg = f"a response that is {response.status[:20]}"
        raise BadAnswerError(msg)
    said = "\n\n".join(filter(None, map(_text_in, response.output)))
    bounds.check_size(len(said), bounds.TEXT, "characters")
    made = [item for item in response.output if item.type == "function_call"]
    text, in_text = extract_calls(said, None if made else tools)
    calls = read_tool_calls([_raw_call(item) for item in made] or in_text)
    if response.status == "incomplete":
        _check_cut(response, text, calls)
    if is_blank(text) and not calls:
        raise BadAnswerError("an empty answer")
    for item, call in zip(made, calls, strict=False):
        item.call_id = call.id
    name = f"{provider}/{model}"
    return ModelAnswer(
        text=text,
        tool_calls=calls,
        usage=read_usage(name, response.usage, input_key="input_tokens", output_key="output_tokens"),
        model=name,
        opaque=pack_round(name, [item.model_dump(exclude_unset=True) for item in response.output])
        if made
        else "",
    )


def _check_cut(response: Response, text: str, calls: tuple[ToolCall, ...]) -> None:
    """Accepts a text that was cut; refuses a call that was cut."""
    reason = response.incomplete_details.reason if response.incomplete_details else ""
    if calls:
        msg = f"the answer ends within a call ({reason})"
        raise BadAnswerError(msg)
    if is_blank(text):
        msg = f"no answer: {reason}"
        raise (ContentRefusedError if reason == "content_filter" else ModelRefusedError)(msg, code=reason)


def _text_in(item: _Output) -> str:
    if item.type not in {"message", ""}:
        return ""
    if not isinstance(item.content, list):
        return read_text(item.content)
    return "".join(read_text(part) or read_text(part.get("refusal")) for part in objects(item.content))


def _raw_call(item: _Output) -> RawCall:
    if not item.name:
        raise BadAnswerError("a call without a name")
    return RawCall(item.call_id or read_text((item.model_extra or {}).get("id")), item.name, item.arguments)
