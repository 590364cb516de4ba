"""The classic Assistants protocol, both directions: threads, messages and runs (`assistants=v2`)."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ...utils.text import compact_json
from ..errors import BadAnswerError, ContextOverflowError, ModelRefusedError, ModelUnavailableError
from ..model import AssistantMessage, Message, ModelAnswer, ModelRequest, ToolCall, ToolMessage
from ..providers import bounds
from ..providers.refusals import error_in_answer, refusal
from ..wire.parsing import AsObject, AsObjects, Made, Text, Wire, Word, cleaned, decoded, shaped, usage_of
from ..wire.thoughts import without_thoughts
from ..wire.tool_calls import Call, WrittenCall, tool_calls

_GOING_ON = frozenset({"queued", "in_progress", "cancelling"})
_ACTIVE = _GOING_ON | {"requires_action"}
_NO_QUOTA = "exceeded your current quota"
"""In a run that failed with `rate_limit_exceeded`, which elsewhere means a limit that passes."""


class _Wanted(Wire):
    tool_calls: Annotated[list[Call], AsObjects] = Field(default_factory=list)


class _Action(Wire):
    submit_tool_outputs: Annotated[_Wanted | None, AsObject] = None


class _Error(Wire):
    code: Word = ""
    message: Word = "no reason given"


class _Incomplete(Wire):
    reason: Word = ""


class Run(Made):
    """A run object, as far as it is used."""

    status: Word
    required_action: Annotated[_Action | None, AsObject] = None
    last_error: Annotated[_Error | None, AsObject] = None
    incomplete_details: Annotated[_Incomplete | None, AsObject] = None
    usage: Any = None

    @property
    def goes_on(self) -> bool:
        """Whether to look again later."""
        return self.status in _GOING_ON

    @property
    def is_active(self) -> bool:
        """Whether it keeps others from the thread."""
        return self.status in _ACTIVE


class Runs(Wire):
    """A page of runs."""

    data: Annotated[list[Run], AsObjects]


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
        return without_thoughts("\n\n".join(filter(None, said)))


class MessageDelta(Wire):
    """The data of `thread.message.delta`."""

    class _Delta(Wire):
        content: Text = ""

    delta: Annotated[_Delta | None, AsObject] = None

    @property
    def text(self) -> str:
        """What is added to the message."""
        return self.delta.content if self.delta else ""


class _Opaque(Wire):
    run: str


def thread_messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as a thread takes them: its own calls it knows, those of others are told as text."""
    told = [_told(message) for message in messages]
    return [message for message in told if message["content"]]


def _told(message: Message) -> dict[str, str]:
    match message:
        case AssistantMessage(text=text, tool_calls=calls):
            lines = [text, *(f"[called {call.name} with {call.arguments}]" for call in calls)]
            return {"role": "assistant", "content": "\n".join(filter(None, lines))}
        case ToolMessage(text=text):
            return {"role": "assistant", "content": f"[result: {text}]"}
        case _:
            return {"role": "user", "content": message.text}


def run_body(assistant_id: str, request: ModelRequest) -> dict[str, Any]:
    """The request for a run; instructions, model and tools are the assistant's own."""
    body: dict[str, Any] = {"assistant_id": assistant_id}
    if request.tool_choice == "none":
        forbidden: dict[str, Any] = {"tool_choice": "none"} if request.tools else {"tools": []}
        body |= forbidden
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    return body


def parse_run(payload: bytes) -> Run:
    """The run object in a body or an event.

    Raises:
        BadAnswerError: it is none.
        ModelError: it is an error of the provider.
    """
    value = cleaned(decoded(payload))
    if (error := error_in_answer(value)) is not None:
        raise error
    return shaped(Run, value, "a run")


def tool_outputs(messages: Sequence[Message]) -> dict[str, Any]:
    """The results among `messages`, for `submit_tool_outputs`."""
    results = [message for message in messages if isinstance(message, ToolMessage)]
    return {"tool_outputs": [{"tool_call_id": each.call_id, "output": each.text} for each in results]}


def open_run(opaque: str) -> str:
    """The id of the run that an answer's `opaque` names; empty where it names none."""
    try:
        return _Opaque.model_validate_json(opaque).run if opaque else ""
    except ValidationError:
        return ""


def answer_of_run(run: Run, text: str, *, model: str, provider: str) -> ModelAnswer:
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
        calls = tool_calls(
            [WrittenCall(call.id, call.function.name, call.function.arguments) for call in made]
        )
    elif run.status == "failed":
        raise _failure(run)
    elif run.status == "incomplete":
        reason = run.incomplete_details.reason if run.incomplete_details else ""
        if reason == "max_prompt_tokens":
            raise ContextOverflowError("the run's prompt is too long", code=reason)
        if not text.strip():
            msg = f"no answer: {reason}"
            raise ModelRefusedError(msg, code=reason)
    elif run.status != "completed":
        msg = f"the run is {run.status}"
        raise ModelUnavailableError(msg)
    if not text.strip() and not calls:
        raise BadAnswerError("an empty answer")
    bounds.check_size(len(text), bounds.TEXT, "characters")
    name = f"{provider}/{model}"
    return ModelAnswer(
        text=text,
        tool_calls=calls,
        usage=usage_of(name, run.usage, input_key="prompt_tokens", output_key="completion_tokens"),
        model=name,
        opaque=compact_json({"run": run.id}) if calls else "",
    )


def _failure(run: Run) -> Exception:
    error = run.last_error or _Error()
    # `rate_limit_exceeded` and `server_error` may pass; `invalid_prompt` and an empty account will not
    code = "insufficient_quota" if _NO_QUOTA in error.message.lower() else error.code
    return refusal(error.message, status=400 if error.code == "invalid_prompt" else None, code=code)
