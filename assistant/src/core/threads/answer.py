"""Answers of the classic Assistants protocol as ours: runs and their messages (`assistants=v2`)."""

from typing import Annotated, Any

from pydantic import Field

from ...utils.text import is_blank
from ..errors import BadAnswerError, ContextOverflowError, ModelRefusedError, ModelUnavailableError
from ..model import ModelAnswer, ToolCall
from ..providers import bounds
from ..providers.refusals import classify_refusal, find_error
from ..wire.parsing import (
    AsObject,
    AsObjects,
    Failure,
    Incomplete,
    Made,
    Text,
    Wire,
    Word,
    decode_json,
    drop_surrogates,
    read_usage,
    validate_as,
)
from ..wire.reasoning import remove_reasoning
from ..wire.tool_calls import Call, RawCall, read_tool_calls
from .request import pack_run

_GOING_ON = frozenset({"queued", "in_progress", "cancelling"})
_ACTIVE = _GOING_ON | {"requires_action"}
_NO_QUOTA = "exceeded your current quota"
"""In a run that failed with `rate_limit_exceeded`, which elsewhere means a limit that passes."""


class _Wanted(Wire):
    tool_calls: Annotated[list[Call], AsObjects] = Field(default_factory=list)


class _Action(Wire):
    submit_tool_outputs: Annotated[_Wanted | None, AsObject] = None


class ThreadRun(Made):
    """A run object, as far as it is used."""

    status: Word
    required_action: Annotated[_Action | None, AsObject] = None
    last_error: Annotated[Failure | None, AsObject] = None
    incomplete_details: Annotated[Incomplete | None, AsObject] = None
    usage: Any = None

    @property
    def goes_on(self) -> bool:
        """Whether to look again later."""
        return self.status in _GOING_ON

    @property
    def is_active(self) -> bool:
        """Whether it keeps others from the thread."""
        return self.status in _ACTIVE


class ThreadRuns(Wire):
    """A page of runs."""

    data: Annotated[list[ThreadRun], AsObjects]


class _Said(Wire):
    role: Word = ""
    content: Text = ""


class Messages(Wire):
    """A page of messages."""

    data: Annotated[list[_Said], AsObjects]

    @property
    def text(self) -> str:
        """What the assistant says in them."""
        said = [message.content for message in self.data if message.role == "assistant"]
        return remove_reasoning("\n\n".join(filter(None, said)))


class MessageDelta(Wire):
    """The data of `thread.message.delta`."""

    class _Delta(Wire):
        content: Text = ""

    delta: Annotated[_Delta | None, AsObject] = None

    @property
    def text(self) -> str:
        """What is added to the message."""
        return self.delta.content if self.delta else ""


def parse_run(payload: bytes) -> ThreadRun:
    """The run object in a body or an event.

    Raises:
        BadAnswerError: it is something else.
        ModelError: it is an error of the provider.
    """
    value = drop_surrogates(decode_json(payload))
    if (error := find_error(value)) is not None:
        raise error
    return validate_as(ThreadRun, value, "a run")


def answer_of_run(run: ThreadRun, text: str, *, model: str, provider: str) -> ModelAnswer:
    """What an ended or waiting run says; `text` is that of its messages.

    Raises:
        AnswerTooLargeError: it has too much text, or too many calls.
        ModelUnavailableError: it expired, was cancelled, or failed for a reason that may pass.
        ContextOverflowError: the thread is too long.
        ModelRefusedError: it failed for good.
    """
    calls: tuple[ToolCall, ...] = ()
    if run.status == "requires_action":
        wanted = run.required_action and run.required_action.submit_tool_outputs
        made = wanted.tool_calls if wanted else []
        calls = read_tool_calls(
            [RawCall(call.id, call.function.name, call.function.arguments) for call in made]
        )
    elif run.status == "failed":
        raise _failure(run)
    elif run.status == "incomplete":
        reason = run.incomplete_details.reason if run.incomplete_details else ""
        if reason == "max_prompt_tokens":
            raise ContextOverflowError("the run's prompt is too long", code=reason)
        if is_blank(text):
            msg = f"no answer: {reason}"
            raise ModelRefusedError(msg, code=reason)
    elif run.status != "completed":
        msg = f"the run is {run.status}"
        raise ModelUnavailableError(msg)
    if is_blank(text) and not calls:
        raise BadAnswerError("an empty answer")
    bounds.check_size(len(text), bounds.TEXT, "characters")
    name = f"{provider}/{model}"
    return ModelAnswer(
        text=text,
        tool_calls=calls,
        usage=read_usage(name, run.usage, input_key="prompt_tokens", output_key="completion_tokens"),
        model=name,
        opaque=pack_run(run.id) if calls else "",
    )


def _failure(run: ThreadRun) -> Exception:
    error = run.last_error or Failure()
    # `rate_limit_exceeded` and `server_error` may pass; `invalid_prompt` and an empty account will not
    code = "insufficient_quota" if _NO_QUOTA in error.message.lower() else error.code
    return classify_refusal(error.message, status=400 if error.code == "invalid_prompt" else None, code=code)
