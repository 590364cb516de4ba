"""A response of the Responses protocol, whole or as events."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..model.conversation import JsonObject
from .answering import Answer, new_id, pieces
from .items import output_items
from .response_request import ResponseRequest

Status = Literal["completed", "incomplete", "failed"]
_REPEATED: JsonObject = {
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response says of its request, with what the API assumes where the request says nothing."""
_UNFINISHED: dict[str, JsonObject] = {
    "message": {"status": "in_progress", "content": []},
    "function_call": {"status": "in_progress", "arguments": ""},
}
"""What an item is at first, as far as it differs from what it becomes."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with what the protocol wants around it."""

    id: str
    created_at: int
    request: ResponseRequest
    status: Status
    output: tuple[JsonObject, ...]
    answer: Answer

    @classmethod
    def of(cls, answer: Answer, request: ResponseRequest, *, failed: bool) -> "Response":
        """A response of now; a `failed` one has no output."""
        output = [] if failed else output_items(answer, reasons=request.reasons, sealed=request.sealed)
        status: Status = "failed" if failed else "incomplete" if answer.cut else "completed"
        return cls(new_id("resp_"), int(time.time()), request, status, tuple(output), answer)

    def as_json(self) -> JsonObject:
        """As it is in the end."""
        failed = self.status == "failed"
        error = {"code": "server_error", "message": "The model failed to generate a response."}
        return self._head() | {
            "status": self.status,
            "completed_at": self.created_at if self.status == "completed" else None,
            "error": error if failed else None,
            "incomplete_details": {"reason": "max_output_tokens"} if self.status == "incomplete" else None,
            "output": list(self.output),
            "usage": None if failed else self._usage(),
        }

    def events(self) -> list[JsonObject]:
        """With streaming: numbered, each with its `type`; the last tells how it ended."""
        started = self._head() | {"status": "in_progress", "output": [], "usage": None}
        events: list[JsonObject] = [
            {"type": "response.created", "response": started},
            {"type": "response.in_progress", "response": started},
        ]
        for index, item in enumerate(self.output):
            events += ({**part, "output_index": index} for part in _item_events(item))
        events.append({"type": f"response.{self.status}", "response": self.as_json()})
        return [{**part, "sequence_number": number} for number, part in enumerate(events)]

    def _head(self) -> JsonObject:
        request, given = self.request, self.request.body
        repeated = {
            name: usual if given.get(name) is None else given[name] for name, usual in _REPEATED.items()
        }
        return repeated | {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "model": request.model,
            "instructions": request.instructions,
            "conversation": {"id": request.conversation} if request.conversation else None,
            "metadata": request.metadata,
            "error": None,
            "incomplete_details": None,
        }

    def _usage(self) -> JsonObject:
        return {
            "input_tokens": self.answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self.answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.answer.input_tokens + self.answer.output_tokens,
        }


def _item_events(item: JsonObject) -> Iterator[JsonObject]:
    """An item from its beginning to its end."""
    begun = item | _UNFINISHED.get(item["type"], {})
    yield {"type": "response.output_item.added", "item": begun}
    if item["type"] == "message":
        for index, part in enumerate(item["content"]):
            yield from _text_events(item["id"], index, part)
    elif item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield {
                "type": "response.function_call_arguments.delta",
                "item_id": item["id"],
                "delta": piece,
            }
        yield {
            "type": "response.function_call_arguments.done",
            "item_id": item["id"],
            "name": item["name"],
            "arguments": item["arguments"],
        }
    yield {"type": "response.output_item.done", "item": item}


def _text_events(item_id: str, index: int, part: JsonObject) -> Iterator[JsonObject]:
    place = {"item_id": item_id, "content_index": index}
    yield {"type": "response.content_part.added", "part": part | {"text": ""}, **place}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place}
    yield {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **place}
    yield {"type": "response.content_part.done", "part": part, **place}
