"""Fields of a request that can be done without, and how: not every server and model takes all of them.

A field that a refusal names is left out. Instructions go into the first message instead, the limit of the
answer under its other name.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

SYSTEM = "system"
"""Stands for the message of that role."""
STREAM = "stream"
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_OF_CHAT = _LIMITS[:2]
"""Two names for the same in Chat Completions."""

_NO = r"(?:support|permitted|allowed|available|enabled|verified|unrecognized|unknown|unexpected|unsupported)"
_NAMED = (
    (re.compile(r"\btemperature\b"), ("temperature",)),
    (re.compile(rf"\b(?:{'|'.join(_LIMITS)})\b"), _LIMITS),
    (re.compile(r"\bstream_options\b"), ("stream_options",)),
    (re.compile(r"\breasoning_effort\b"), ("reasoning_effort",)),
    (re.compile(r"\btool[_ ]choice\b"), ("tool_choice",)),
    (re.compile(rf"\bstream(?:ing)?\b.{{0,80}}{_NO}|{_NO}.{{0,80}}\bstream(?:ing)?\b", re.DOTALL), (STREAM,)),
)
_NO_SYSTEM = re.compile(
    r"\bsystem[ _-](?:role|message|prompt|instruction)s?\b.{0,40}"
    r"(?:not|n't|un) ?(?:support|allow|enabl|avail)"
    r"|\brole\b.{0,20} does not support .?system"  # OpenAI's first models that reason
    r"|developer instruction is not enabled"  # Gemma at Google
    r"|only user and assistant roles are supported"  # templates of Mistral's first models
    r"|roles must alternate user/assistant",  # templates of Gemma and Llama 2
    re.DOTALL,
)


def fields_named(status: int | None, param: str | None, words: str) -> tuple[str, ...]:
    """The names that the refused field may have, by the words of the refusal; none: it is not about one."""
    if status in {400, 422, 500, 501} and _NO_SYSTEM.search(words):  # 500: llama.cpp, where a template raises
        return (SYSTEM,)
    if status not in {400, 422}:
        return ()
    text = f"{param or ''} {words}"
    return next((names for pattern, names in _NAMED if pattern.search(text)), ())


def has_field(body: Mapping[str, Any], name: str) -> bool:
    """Whether the request holds the field."""
    return bool(_system_of(body)) if name == SYSTEM else name in body


def without_fields(body: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """The request without these fields."""
    kept = {name: value for name, value in body.items() if name not in refused}
    if STREAM in refused:
        kept.pop("stream_options", None)
    limit = next((body[name] for name in _OF_CHAT if name in body), None)
    other = next((name for name in _OF_CHAT if name not in refused), None)
    if limit is not None and other is not None:
        kept = {name: value for name, value in kept.items() if name not in _OF_CHAT} | {other: limit}
    if SYSTEM in refused and (system := _system_of(body)):
        kept["messages"] = _move_to_first_message(system, body["messages"][1:])
    return kept


def _system_of(body: Mapping[str, Any]) -> str:
    first: Mapping[str, Any] = next(iter(body.get("messages") or ()), {})
    return str(first["content"]) if first.get("role") == "system" else ""


def _move_to_first_message(system: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if messages and messages[0]["role"] == "user":
        first = messages[0] | {"content": f"{system}\n\n{messages[0]['content']}"}
        return [first, *messages[1:]]
    return [{"role": "user", "content": system}, *messages]
