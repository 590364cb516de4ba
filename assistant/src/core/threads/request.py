"""Our requests in the classic Assistants protocol: a thread's messages, runs and results of tools."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ...utils.text import compact_json
from ..model import AssistantMessage, Message, ModelRequest, ToolMessage
from ..wire.parsing import Wire

BETA = {"OpenAI-Beta": "assistants=v2"}
"""The header of every request."""


def thread_messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as a thread takes them: it knows its own calls, those of others become text."""
    sent = [_thread_message(message) for message in messages]
    return [message for message in sent if message["content"]]


def _thread_message(message: Message) -> dict[str, str]:
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
        # the assistant at the provider may have tools: an empty list leaves them out of this run
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


class _OpenRun(Wire):
    """What `AssistantMessage.opaque` holds between a run's call of tools and their results."""

    run: str


def pack_run(run_id: str) -> str:
    """A run that waits for the results of tools, for `AssistantMessage.opaque`."""
    return compact_json({"run": run_id})


def open_run(opaque: str) -> str:
    """The id of the run that an answer's `opaque` names; empty where it names none."""
    try:
        return _OpenRun.model_validate_json(opaque).run if opaque else ""
    except ValidationError:
        return ""
