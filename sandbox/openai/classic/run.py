"""A run of the classic protocol: the model's turn on a thread, with its states.

Nothing runs in the background: a run moves on when somebody looks at it and its time has come.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Literal

from ...model.conversation import JsonObject, Message
from ..answering import Answer, Question, answer, new_id
from ..checks import read_forced, read_limit, read_metadata, read_nested_tools
from ..completion import nest_calls
from ..errors import InvalidRequestError
from .threads import Thread

Status = Literal[
    "queued", "in_progress", "requires_action", "cancelling", "cancelled", "failed", "completed",
    "incomplete", "expired",
]  # fmt: skip
_ACTIVE = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
_EXPIRES_AFTER = 600
"""Seconds."""
_TIMES = ("started_at", "completed_at", "cancelled_at", "failed_at")


@dataclass(slots=True)
class Run:
    """One turn.

    `given` is what the run repeats of its assistant and its request, `asks` what it asks the model apart
    from the messages; `due` is on the monotonic clock.
    """

    thread: Thread
    given: JsonObject
    asks: Question
    due: float
    fails: bool
    id: str = field(default_factory=lambda: new_id("run_"))
    created_at: int = field(default_factory=lambda: int(time.time()))
    status: Status = "queued"
    answer: Answer | None = None
    _times: dict[str, int] = field(default_factory=dict)
    _used: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, thread: Thread, assistant: JsonObject, body: JsonObject, *, due: float, fails: bool) -> "Run":
        """A queued run; what the request says goes before what the assistant says."""
        wanted = {name: value for name, value in body.items() if value is not None}
        instructions = str(wanted.get("instructions", assistant["instructions"]) or "")
        if "additional_instructions" in wanted:
            instructions = f"{instructions}\n{wanted['additional_instructions']}".strip()
        given = {
            "assistant_id": assistant["id"],
            "instructions": instructions,
            "metadata": read_metadata(body),
            **{
                name: wanted.get(name, assistant[name]) for name in ("model", "tools", "temperature", "top_p")
            },
            "tool_choice": wanted.get("tool_choice", "auto"),
            "parallel_tool_calls": wanted.get("parallel_tool_calls", True),
            "max_completion_tokens": wanted.get("max_completion_tokens"),
        }
        tools, choice = read_nested_tools(given), given["tool_choice"]
        asks = Question(
            messages=(),
            tools=() if choice == "none" else tools,
            forced=read_forced(choice, tools),
            parallel=given["parallel_tool_calls"] is not False,
            max_tokens=read_limit(given, "max_completion_tokens"),
        )
        return cls(thread, given, asks, due, fails)

    @property
    def is_active(self) -> bool:
        """Whether the thread waits for this run."""
        return self.status in _ACTIVE

    def advance(self) -> None:
        """Move on, as far as time allows."""
        # as at the original, calls that nobody answers for ten minutes end the run
        if self.status == "requires_action" and time.time() >= self.created_at + _EXPIRES_AFTER:
            self._end("expired")
        elif self.status == "cancelling":
            self._end("cancelled")
        elif self.status in {"queued", "in_progress"}:
            self.status = "in_progress"
            self._times.setdefault("started_at", int(time.time()))
            if time.monotonic() >= self.due:
                self.finish()

    def finish(self) -> JsonObject | None:
        """Let the model answer now; the message that it adds to the thread, None if there is none."""
        if self.fails:
            self._end("failed")
            return None
        system = [Message("system", (self.given["instructions"],))] if self.given["instructions"] else []
        self.answer = answer(replace(self.asks, messages=(*system, *self.thread.history)))
        self._used = (
            self._used[0] + self.answer.input_tokens,
            self._used[1] + self.answer.output_tokens,
        )
        if self.answer.calls:
            self.thread.history.append(Message("assistant", tool_calls=self.answer.calls))
            self.status = "requires_action"
            return None
        self._end("incomplete" if self.answer.cut else "completed")
        return self.thread.add_answer(
            self.answer.text,
            run_id=self.id,
            assistant_id=self.given["assistant_id"],
            cut=self.answer.cut,
        )

    def submit(self, body: JsonObject, *, due: float) -> None:
        """Take the outputs of all open calls; raises InvalidRequestError."""
        if self.status != "requires_action" or self.answer is None:
            raise InvalidRequestError(f'Runs in status "{self.status}" do not accept tool outputs.')
        outputs = body.get("tool_outputs")
        given = {
            str(item.get("tool_call_id")): str(item.get("output") or "")
            for item in (outputs if isinstance(outputs, list) else [])
            if isinstance(item, dict)
        }
        wanted = [call.id for call in self.answer.calls]
        if set(wanted) != set(given):
            raise InvalidRequestError(f"Expected tool outputs for call_ids {wanted}, got {list(given)}")
        self.thread.history += [Message("tool", (given[number],), tool_call_id=number) for number in wanted]
        self.status, self.due, self.answer = "queued", due, None

    def cancel(self) -> None:
        """Stop; raises InvalidRequestError where there is nothing to stop."""
        if not self.is_active:
            raise InvalidRequestError(f"Cannot cancel run with status '{self.status}'.")
        # the original takes a moment, too: `cancelled` is seen at the next look
        self.status = "cancelling"
        self._close_calls()

    def as_json(self) -> JsonObject:
        """As the API shows it."""
        times = {name: self._times.get(name) for name in _TIMES}
        prompt, completion = self._used
        ended = not self.is_active
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        error = {"code": "server_error", "message": "Sorry, something went wrong."}
        return {
            **self.given,
            **times,
            "id": self.id,
            "object": "thread.run",
            "created_at": self.created_at,
            "expires_at": self.created_at + _EXPIRES_AFTER if self.is_active else None,
            "thread_id": self.thread.id,
            "status": self.status,
            "required_action": self._describe_required_action(),
            "last_error": error if self.status == "failed" else None,
            "incomplete_details": (
                {"reason": "max_completion_tokens"} if self.status == "incomplete" else None
            ),
            "usage": usage if ended else None,
            "max_prompt_tokens": None,
            "truncation_strategy": {"type": "auto", "last_messages": None},
            "response_format": "auto",
        }

    def _describe_required_action(self) -> JsonObject | None:
        if self.status != "requires_action" or self.answer is None:
            return None
        return {
            "type": "submit_tool_outputs",
            "submit_tool_outputs": {"tool_calls": nest_calls(self.answer)},
        }

    def _end(self, status: Status) -> None:
        if status == "expired":
            self._close_calls()
        self.status = status
        self._times[f"{status}_at"] = int(time.time())

    def _close_calls(self) -> None:
        """Calls that nobody will answer any more leave the thread as it was."""
        if self.thread.history and self.thread.history[-1].tool_calls:
            self.thread.history.pop()
