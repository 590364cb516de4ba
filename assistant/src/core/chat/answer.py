"""Answers of the Chat Completions protocol as ours, whole and streamed.

Reading is tolerant where compatible servers differ (content as parts, missing or repeated call ids and
indexes, arguments as an object, calls in another choice than the text, errors with status 200) and strict
where an answer would be none.
"""

from collections.abc import Collection
from typing import Any

from ...utils.text import compact_json, is_blank
from ..errors import BadAnswerError, ContentRefusedError, CutAnswerError, ModelRefusedError
from ..model import ModelAnswer, TextSink
from ..providers import bounds
from ..providers.quirks import Quirks
from ..providers.refusals import classify_error_body, find_error
from ..wire.parsing import decode_json, drop_surrogates, read_usage, validate_as
from ..wire.text_collector import TextCollector
from ..wire.tool_calls import Call, RawCall, read_tool_calls
from .calls import CallCollector, extras_of
from .request import pack_extras
from .shapes import ChatMessage, Choice, Completion

DONE = b"[DONE]"


class AnswerReader:
    """Puts an answer together from a whole body or from the chunks of a stream; for one answer.

    `tools` are the names that the model may call.
    """

    def __init__(self, provider: str, model: str, quirks: Quirks, *, tools: Collection[str] = ()) -> None:
        self._provider = provider
        self._name = f"{provider}/{model}"
        self._quirks = quirks
        self._tools = tools
        self._choices: dict[int, _ChoiceReader] = {}
        self._usage: Any = None
        self._begun = False
        self.size = 0
        """Characters so far, of everything that is kept."""
        self.ended = False
        """Nothing more follows."""

    @property
    def complete(self) -> bool:
        """The answer has come to its end; as a rule only the usage may follow."""
        begun = self._choices.values()
        return self.ended or (bool(begun) and all(choice.complete for choice in begun))

    def read(self, data: bytes, *, event: str = "") -> None:
        """Take in the data of one event of this name, or a whole body.

        Raises:
            BadAnswerError: it is not what the protocol says.
            AnswerTooLargeError: there is too much of it.
            ModelError: it is an error of the provider.
        """
        data = data.strip()
        if data.upper() == DONE:
            self.ended = True
        elif data.startswith((b"{", b"[", b"\xef\xbb\xbf")):
            for value in _values(data):
                self._read(value, event)
        elif event == "error":  # a proxy wrote it
            raise classify_error_body(data.decode("utf-8", "replace"), status=None)

    def show(self, on_text: TextSink) -> None:
        """Show the text so far, if there is enough new."""
        if self._choices:
            self._choices[min(self._choices)].text.show(on_text)

    @property
    def shown(self) -> str:
        """The text that was shown last."""
        return self._choices[min(self._choices)].text.shown if self._choices else ""

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
        choices = [
            choice for _, choice in sorted(self._choices.items()) if choice.complete or self.ended
        ] or [_ChoiceReader(self._quirks, self._tools)]
        first = choices[0]
        calling = next((choice for choice in choices if choice.calls), None)
        calling = calling or next((choice for choice in choices if choice.text.calls()), first)
        first.check_finish()
        calls = read_tool_calls(calling.raw_calls(), cut=calling.finish == "length")
        shown = [first] if calls else choices
        text = next(filter(None, (choice.visible_text() for choice in shown)), "")
        if is_blank(text) and not calls:
            msg = f"an empty answer (finish_reason {first.finish!r})"
            raise (ModelRefusedError if first.finish == "length" else BadAnswerError)(msg)
        of_calls = extras_of(calling.calls, [call.id for call in calls]) if calling.calls else {}
        return ModelAnswer(
            text=text,
            tool_calls=calls,
            usage=read_usage(
                self._name, self._usage, input_key="prompt_tokens", output_key="completion_tokens"
            ),
            model=self._name,
            opaque=pack_extras(self._provider, calling.extras(), of_calls) if calls else "",
        )

    def _read(self, value: object, event: str) -> None:
        error = find_error(value) or (classify_error_body(value, status=None) if event == "error" else None)
        if error is not None:
            raise error
        part = validate_as(Completion, value, "a chat completion")
        bounds.check_size(len(part.choices), bounds.CALLS, "choices")
        self._usage = part.usage or self._usage
        numbers = [choice.index for choice in part.choices if choice.message is None]
        for position, choice in enumerate(part.choices):
            self._begun = self._begun or bool(choice.message or choice.delta)
            # some number all 0, or none
            place = position if choice.index is None or numbers.count(choice.index) != 1 else choice.index
            reader = self._choices.setdefault(place, _ChoiceReader(self._quirks, self._tools))
            self.size += reader.take(choice)
        bounds.check_size(self.size, bounds.TEXT, "characters")
        bounds.check_size(len(self._choices), bounds.CALLS, "choices")


class _ChoiceReader:
    """One choice of an answer, as far as it has come."""

    def __init__(self, quirks: Quirks, tools: Collection[str]) -> None:
        self.text = TextCollector(tools)
        self.finish = ""
        self.complete = False
        self._refusal = TextCollector()
        self._collector = CallCollector(tools, quirks.call_extras)
        self.calls = self._collector.calls
        self._wanted = quirks.message_extras
        self._extras: dict[str, list[Any]] = {}

    def raw_calls(self) -> list[RawCall]:
        """The calls, as such or within the text."""
        return [call.raw() for call in self.calls] or self.text.calls()

    def take(self, choice: Choice) -> int:
        """Take in the choice or a piece of it; returns its characters."""
        said = choice.message or choice.delta
        self.finish = choice.finish_reason or self.finish
        self.complete = self.complete or bool(choice.finish_reason) or choice.message is not None
        return 0 if said is None else self._take(said, whole=choice.message is not None)

    def _take(self, said: ChatMessage, *, whole: bool) -> int:
        size = len(said.content) + len(said.refusal)
        if whole and said.content:
            # some servers end a stream with the whole message, or repeat it each time
            size -= self.text.clear()
        if whole and said.tool_calls:
            self.calls.clear()
        self.text.add(said.content)
        self._refusal.add(said.refusal)
        for call in said.tool_calls:
            size += self._collector.add(call, whole=whole)
        if said.function_call is not None and not said.tool_calls:
            size += self._collector.add(Call(index=0, function=said.function_call), whole=whole)
        for name in self._wanted:
            if value := (said.model_extra or {}).get(name):
                self._extras.setdefault(name, []).append(value)
                size += len(value) if isinstance(value, str) else len(compact_json(value))
        return size

    def visible_text(self) -> str:
        """The text, or why the model gives none."""
        return self.text.text() or self._refusal.text()

    def extras(self) -> dict[str, Any]:
        """What the provider wants back of the message."""
        return {name: drop_surrogates(_join(values)) for name, values in self._extras.items()}

    def check_finish(self) -> None:
        """Raise a ModelError where the choice says that it is no answer."""
        if self.finish == "error":
            msg = "the provider broke the answer off"
            raise CutAnswerError(msg)
        if self.finish == "content_filter":
            msg = "the provider's content filter kept the answer back"
            raise ContentRefusedError(msg, code="content_filter")


def _values(data: bytes) -> list[object]:
    """The objects in an event or a body: one, a list, or one in each line."""
    try:
        value = decode_json(data)
    except BadAnswerError:
        lines = data.split(b"\n")
        if len(lines) < 2:
            raise
        return [decode_json(line) for line in lines if line.strip() and line.strip().upper() != DONE]
    return value if isinstance(value, list) else [value]


def _join(values: list[Any]) -> Any:  # noqa: ANN401 - whatever an extra field holds
    """Pieces of one field: texts and lists grow, anything else is replaced."""
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    return values[-1]
