"""A reply of the model as a Chat Completion, whole or in chunks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from ..model.conversation import Reply
from .chat_request import ChatRequest

_CHARACTERS_PER_TOKEN = 4
_CHUNK_WORDS = 4
_numbers = count(time.time_ns())

JsonObject = dict[str, Any]


def _new_id(prefix: str) -> str:
    return f"{prefix}{next(_numbers):x}"


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply with the ids and figures that the protocol wants."""

    id: str
    created: int
    model: str
    text: str | None
    tool_calls: tuple[JsonObject, ...]
    finish_reason: str
    usage: JsonObject

    @classmethod
    def of(cls, reply: Reply, request: ChatRequest) -> "Completion":
        """Cut at the request's token limit, and at one call where parallel calls are not wanted."""
        text, finish = reply.text, "stop"
        if request.max_tokens and len(text) > request.max_tokens * _CHARACTERS_PER_TOKEN:
            text, finish = text[: request.max_tokens * _CHARACTERS_PER_TOKEN], "length"
        calls = tuple(
            {
                "id": _new_id("call_"),
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in (reply.calls if request.parallel else reply.calls[:1])
        )
        return cls(
            id=_new_id("chatcmpl-"),
            created=int(time.time()),
            model=request.model,
            text=None if calls else text,
            tool_calls=calls,
            finish_reason="tool_calls" if calls else finish,
            usage=_usage(request, json.dumps(calls) if calls else text),
        )

    def as_json(self) -> JsonObject:
        """The answer without streaming."""
        message: JsonObject = {"role": "assistant", "content": self.text, "refusal": None}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            ],
            "usage": self.usage,
            "service_tier": "default",
        }

    def chunks(self, *, include_usage: bool) -> Iterator[JsonObject]:
        """The answer with streaming; usage comes last, in a chunk without choices."""
        yield self._chunk({"role": "assistant", "content": None if self.tool_calls else "", "refusal": None})
        for number, call in enumerate(self.tool_calls):
            function = call["function"]
            head = {"index": number, "id": call["id"], "type": "function"}
            yield self._chunk(
                {"tool_calls": [head | {"function": {"name": function["name"], "arguments": ""}}]}
            )
            for piece in _pieces(function["arguments"]):
                yield self._chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        for piece in _pieces(self.text or ""):
            yield self._chunk({"content": piece})
        yield self._chunk({}, self.finish_reason)
        if include_usage:
            yield self._chunk(None) | {"usage": self.usage}

    def _chunk(self, delta: JsonObject | None, finish_reason: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [] if delta is None else [choice],
        }


def _pieces(text: str) -> Iterator[str]:
    """`text` a few words at a time; joined again they are the text."""
    words = text.split(" ")
    for start in range(0, len(words), _CHUNK_WORDS):
        piece = " ".join(words[start : start + _CHUNK_WORDS])
        yield piece if start + _CHUNK_WORDS >= len(words) else f"{piece} "


def _usage(request: ChatRequest, answer: str) -> JsonObject:
    """Estimated at four characters a token; a demonstration model has no tokenizer."""
    prompt = sum(len(part) for message in request.messages for part in message.parts) // _CHARACTERS_PER_TOKEN
    prompt += 4 * len(request.messages)
    completion = max(1, len(answer) // _CHARACTERS_PER_TOKEN)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
