"""Answers of the Chat Completions protocol as ours, whole and streamed.

Reading is tolerant where compatible servers differ (content as parts, missing or repeated call ids and
indexes, arguments as an object, errors with status 200) and strict where an answer would be none.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field

from .chat_wire import packed
from .errors import BadAnswerError, CutAnswerError, ModelError, ModelRefusedError
from .model import ModelAnswer, ToolCall, Usage
from .quirks import Quirks
from .refusals import refusal_in_body
from .wire import Wire, parsed

DONE = b"[DONE]"
_THINKING, _THOUGHT = "<think>", "</think>"


class _Function(Wire):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(Wire):
    model_config = ConfigDict(extra="allow")
    index: int | None = None
    id: str | None = None
    function: _Function = Field(default_factory=_Function)


class _Part(Wire):
    type: str = "text"
    text: str | None = None


class _Said(Wire):
    model_config = ConfigDict(extra="allow")
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Wire):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _CachedTokens(Wire):
    cached_tokens: int | None = None


class _Usage(Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None


class _Completion(Wire):
    """A whole answer, or one chunk of it."""

    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: Any = None


class AnswerReader:
    """Puts an answer together from a whole body or from the chunks of a stream; for one answer."""

    def __init__(self, provider: str, model: str, quirks: Quirks) -> None:
        self._provider = provider
        self._model = model
        self._quirks = quirks
        self._content = ""
        self._refusal = ""
        self._calls: list[_Call] = []
        self._extras: dict[str, Any] = {}
        self._usage: _Usage | None = None
        self._finish: str | None = None
        self._begun = False
        self.complete = False
        """The answer has come to its end; only the usage may follow."""
        self.ended = False
        """Nothing more follows."""

    @property
    def text(self) -> str:
        """The text so far, for people: without what a model thought aloud first."""
        return _without_thoughts(self._content) or self._refusal

    def read(self, data: bytes) -> None:
        """Take in one event's data, or a whole body.

        Raises:
            BadAnswerError: it is not what the protocol says.
            ModelError: it is an error of the provider.
        """
        if data.strip() == DONE:
            self.complete = self.ended = True
            return
        part = parsed(_Completion, data, "a chat completion")
        if part.error:
            raise _error(part.error)
        self._usage = part.usage or self._usage
        if part.choices:
            self._take(part.choices[0])

    def answer(self) -> ModelAnswer:
        """The whole answer.

        Raises:
            CutAnswerError: its end is missing.
            BadAnswerError: it has neither text nor tool calls.
            ModelRefusedError: the provider's filter kept it back, or its limit left no room for a word.
        """
        if not self.complete:
            msg = "the answer has no end"
            raise (CutAnswerError if self._begun else BadAnswerError)(msg)
        if self._finish == "error":
            msg = "the provider broke the answer off"
            raise CutAnswerError(msg)
        if self._finish == "content_filter":
            msg = "the provider's content filter kept the answer back"
            raise ModelRefusedError(msg, code="content_filter")
        text, calls = self.text, _with_own_ids(self._calls, cut=self._finish == "length")
        if not text.strip() and not calls:
            msg = f"an empty answer (finish_reason {self._finish!r})"
            raise (ModelRefusedError if self._finish == "length" else BadAnswerError)(msg)
        return ModelAnswer(
            text=text,
            tool_calls=calls,
            usage=_used(self._usage),
            model=f"{self._provider}/{self._model}",
            opaque=self._opaque(calls) if calls else "",
        )

    def _take(self, choice: _Choice) -> None:
        said = choice.message or choice.delta
        if said is not None:
            self._begun = True
            self._content += _text(said)
            self._refusal += said.refusal or ""
            for call in said.tool_calls or ():
                self._take_call(call, known=None if choice.message else self._continued(call))
            for name in self._quirks.message_extras:
                self._extras[name] = _joined(self._extras.get(name), (said.model_extra or {}).get(name))
        if choice.finish_reason:
            self._finish = choice.finish_reason
            self.complete = True
        elif choice.message is not None:
            self.complete = True

    def _take_call(self, call: _Call, *, known: _Call | None) -> None:
        if known is None:
            self._calls.append(call)
            return
        known.function.name = known.function.name or call.function.name
        known.function.arguments = _joined(known.function.arguments, call.function.arguments)
        known.id = known.id or call.id
        for name, value in (call.model_extra or {}).items():
            setattr(known, name, value)

    def _continued(self, call: _Call) -> _Call | None:
        """The call that `call` is a further piece of; None: it is one of its own.

        By the index; but there are servers that send whole calls and number them all 0, or not at all.
        """
        last = next((known for known in reversed(self._calls) if call.index in {None, known.index}), None)
        if last is None or (call.id and last.id and call.id != last.id):
            return None
        nameless = not call.function.name
        unmarked = call.index is None and not call.id
        if nameless or not (unmarked or (call.function.arguments and _is_whole(last))):
            return last
        return None

    def _opaque(self, calls: tuple[ToolCall, ...]) -> str:
        of_calls = {}
        for call, wire in zip(calls, self._calls, strict=True):
            extras = wire.model_extra or {}
            of_calls[call.id] = {name: extras[name] for name in self._quirks.call_extras if extras.get(name)}
        message = {name: value for name, value in self._extras.items() if value}
        return packed(self._provider, message, of_calls)


def _is_whole(call: _Call) -> bool:
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        return bool(arguments)
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def _error(error: object) -> ModelError:
    """An error with status 200 or in mid-stream; its `code` may be the status that it would have had."""
    code = error.get("code") if isinstance(error, dict) else None
    return refusal_in_body(error, status=code if isinstance(code, int) else None)


def _text(said: _Said) -> str:
    if isinstance(said.content, list):
        return "".join(part.text or "" for part in said.content if part.type in {"text", "output_text"})
    return said.content or ""


def _without_thoughts(text: str) -> str:
    """Small reasoning models think aloud in their answer where the server does not take it out."""
    start = text.lstrip()
    if start.startswith(_THINKING):
        return start.partition(_THOUGHT)[2].lstrip()
    return "" if start and _THINKING.startswith(start) else text


def _joined(one: Any, other: Any) -> Any:  # noqa: ANN401 - whatever an extra field holds
    """Pieces of one field: texts and lists grow, anything else is replaced."""
    if isinstance(one, str) and isinstance(other, str):
        return one + other
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    return one if other is None else other


def _with_own_ids(calls: Sequence[_Call], *, cut: bool) -> tuple[ToolCall, ...]:
    """Every call with an id of its own, for each result names the call it answers.

    `cut`: the answer ended at its limit, so that the last call without arguments is one that lost them.
    """
    seen: set[str] = set()
    result: list[ToolCall] = []
    for number, call in enumerate(calls, 1):
        call_id = call.id or f"call_{number}"
        while call_id in seen:
            call_id += f"_{number}"
        seen.add(call_id)
        arguments = call.function.arguments
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        result.append(ToolCall(id=call_id, name=call.function.name or "", arguments=arguments or "{}"))
    if cut and result and not calls[-1].function.arguments:
        result[-1] = ToolCall(id=result[-1].id, name=result[-1].name, arguments="{")
    return tuple(result)


def _used(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )
