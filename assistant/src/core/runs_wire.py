"""The classic Assistants protocol, both directions: threads, messages and runs (`assistants=v2`)."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, ValidationError

from ..utils.text import compact_json
from .errors import BadAnswerError, ContextOverflowError, ModelRefusedError, ModelUnavailableError
from .model import AssistantMessage, Message, ModelAnswer, ModelRequest, ToolCall, ToolMessage, Usage
from .refusals import refusal
from .wire import Wire

_GOING_ON = frozenset({"queued", "in_progress", "cancelling"})
_ACTIVE = _GOING_ON | {"requires_action"}
_NO_QUOTA = "exceeded your current quota"
"""In a run that failed with `rate_limit_exceeded`, which elsewhere means a limit that passes."""


class _Function(Wire):
    name: str
    arguments: str = "{}"


class _Call(Wire):
    id: str
    function: _Function


class _Wanted(Wire):
    tool_calls: list[_Call] = Field(min_length=1)


class _Action(Wire):
    submit_tool_outputs: _Wanted


class _Error(Wire):
    code: str | None = None
    message: str = "no reason given"


class _Incomplete(Wire):
    reason: str | None = None


class _Usage(Wire):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Run(Wire):
    """A run object, as far as it is used."""

    id: str
    status: str
    required_action: _Action | None = None
    last_error: _Error | None = None
    incomplete_details: _Incomplete | None = None
    usage: _Usage | None = None

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

    data: list[Run]


class _Text(Wire):
    value: str = ""


class _Part(Wire):
    type: str
    text: _Text | None = None


class _Said(Wire):
    role: str
    content: list[_Part]


class Messages(Wire):
    """A page of messages."""

    data: list[_Said]

    @property
    def text(self) -> str:
        """What the assistant says in them."""
        said = [
            "".join(part.text.value for part in message.content if part.text)
            for message in self.data
            if message.role == "assistant"
        ]
        return "\n\n".join(filter(None, said))


class MessageDelta(Wire):
    """The data of `thread.message.delta`."""

    class _Delta(Wire):
        content: list[_Part] = Field(default_factory=list)

    delta: _Delta

    @property
    def text(self) -> str:
        """What is added to the message."""
        return "".join(part.text.value for part in self.delta.content if part.text)


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
        ModelUnavailableError: it expired, was cancelled, or failed for a reason that may pass.
        ContextOverflowError: the thread is too long.
        ModelRefusedError: it failed for good.
    """
    calls: tuple[ToolCall, ...] = ()
    if run.status == "requires_action" and run.required_action is not None:
        wanted = run.required_action.submit_tool_outputs.tool_calls
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.arguments or "{}") for call in wanted
        )
    elif run.status == "failed":
        raise _failure(run)
    elif run.status == "incomplete":
        reason = run.incomplete_details.reason if run.incomplete_details else None
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
    used = run.usage or _Usage()
    return ModelAnswer(
        text=text,
        tool_calls=calls,
        usage=Usage(used.prompt_tokens, used.completion_tokens),
        model=f"{provider}/{model}",
        opaque=compact_json({"run": run.id}) if calls else "",
    )


def _failure(run: Run) -> Exception:
    error = run.last_error or _Error()
    # `rate_limit_exceeded` and `server_error` may pass; `invalid_prompt` and an empty account will not
    code = "insufficient_quota" if _NO_QUOTA in error.message.lower() else error.code
    return refusal(error.message, status=400 if error.code == "invalid_prompt" else None, code=code)
