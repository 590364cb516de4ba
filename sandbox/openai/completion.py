"""An answer of the model as a Chat Completion, whole or in chunks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..model.conversation import JsonObject
from .answering import Answer, new_id, pieces


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer with what the protocol wants around it."""

    id: str
    created: int
    model: str
    answer: Answer

    @classmethod
    def of(cls, answer: Answer, model: str) -> "Completion":
        """A completion of now."""
        return cls(new_id("chatcmpl-"), int(time.time()), model, answer)

    @property
    def finish_reason(self) -> str:
        """Why the answer ends."""
        return "tool_calls" if self.answer.calls else "length" if self.answer.cut else "stop"

    def as_json(self) -> JsonObject:
        """The answer without streaming."""
        calls = nest_calls(self.answer)
        message: JsonObject = {
            "role": "assistant",
            "content": None if calls else self.answer.text,
            "refusal": None,
        }
        if calls:
            message["tool_calls"] = calls
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            ],
            "usage": self._usage(),
            "service_tier": "default",
        }

    def chunks(self, *, include_usage: bool) -> Iterator[JsonObject]:
        """The answer with streaming; usage comes last, in a chunk without choices."""
        calls = nest_calls(self.answer)
        yield self._chunk({"role": "assistant", "content": None if calls else "", "refusal": None})
        for number, call in enumerate(calls):
            function = call["function"]
            head = {"index": number, "id": call["id"], "type": "function"}
            yield self._chunk(
                {"tool_calls": [head | {"function": {"name": function["name"], "arguments": ""}}]}
            )
            for piece in pieces(function["arguments"]):
                yield self._chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        for piece in pieces(self.answer.text):
            yield self._chunk({"content": piece})
        yield self._chunk({}, self.finish_reason)
        if include_usage:
            yield self._chunk(None) | {"usage": self._usage()}

    def _chunk(self, delta: JsonObject | None, finish_reason: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [] if delta is None else [choice],
        }

    def _usage(self) -> JsonObject:
        return {
            "prompt_tokens": self.answer.input_tokens,
            "completion_tokens": self.answer.output_tokens,
            "total_tokens": self.answer.input_tokens + self.answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def nest_calls(answer: Answer) -> list[JsonObject]:
    """Calls as Chat Completions and the classic runs write them."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
