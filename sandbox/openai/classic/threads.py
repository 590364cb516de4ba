"""Threads of the classic protocol and the messages in them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...model.conversation import JsonObject, Message
from ..answering import new_id
from ..checks import read_metadata, read_text
from ..errors import InvalidRequestError


@dataclass(slots=True)
class Thread:
    """`messages` are what the API lists, oldest first; `history` is what the model reads, with its calls.

    `runs` are the ids of its runs, oldest first.
    """

    id: str
    metadata: dict[str, str]
    created_at: int
    messages: dict[str, JsonObject] = field(default_factory=dict)
    history: list[Message] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, body: JsonObject) -> "Thread":
        """A new thread, with the messages that the request brings; raises InvalidRequestError."""
        made = cls(new_id("thread_"), read_metadata(body), int(time.time()))
        for message in body.get("messages") or []:
            made.add_request(message)
        return made

    def as_json(self) -> JsonObject:
        """Without its messages."""
        return {
            "id": self.id,
            "object": "thread",
            "created_at": self.created_at,
            "metadata": self.metadata,
            "tool_resources": {},
        }

    def add_request(self, body: object) -> JsonObject:
        """Add the message of a request; raises InvalidRequestError."""
        role = body.get("role") if isinstance(body, dict) else None
        if not isinstance(body, dict) or role not in ("user", "assistant"):
            raise InvalidRequestError(
                f"Invalid value: '{role}'. Supported values are: 'user' and 'assistant'.",
                param="role",
                code="invalid_value",
            )
        texts = read_text("message", body.get("content"))
        self.history.append(Message(role, texts))
        return self._keep(role, texts, metadata=read_metadata(body))

    def add_answer(self, text: str, *, run_id: str, assistant_id: str, cut: bool) -> JsonObject:
        """Add what the assistant says in a run."""
        self.history.append(Message("assistant", (text,)))
        made = self._keep("assistant", (text,), metadata={}, run_id=run_id, assistant_id=assistant_id)
        if cut:
            made |= {"status": "incomplete", "incomplete_details": {"reason": "max_tokens"}}
        return made

    def _keep(
        self,
        role: str,
        texts: Sequence[str],
        *,
        metadata: dict[str, str],
        run_id: str | None = None,
        assistant_id: str | None = None,
    ) -> JsonObject:
        now = int(time.time())
        message: JsonObject = {
            "id": new_id("msg_"),
            "object": "thread.message",
            "created_at": now,
            "completed_at": now,
            "incomplete_at": None,
            "incomplete_details": None,
            "status": "completed",
            "thread_id": self.id,
            "run_id": run_id,
            "assistant_id": assistant_id,
            "role": role,
            "content": [{"type": "text", "text": {"value": text, "annotations": []}} for text in texts],
            "attachments": [],
            "metadata": metadata,
        }
        self.messages[message["id"]] = message
        return message
