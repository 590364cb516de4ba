"""The scripted model behind every protocol: a question in, an answer with ids and figures out."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from ..model import scripted
from ..model.conversation import Message, Reply, Tool, ToolCall
from ..model.toolbox import Hints, call

_CHARACTERS_PER_TOKEN = 4
_CHUNK_WORDS = 4
# from the clock, so that an id of an earlier run never means something else in this one
_numbers = count(time.time_ns())


def new_id(prefix: str) -> str:
    """An id that no other thing of this process has."""
    return f"{prefix}{next(_numbers):x}"


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is asked. `tools` are those that may be called: none with tool_choice `none`."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    forced: str | None = None
    """The tool that must be called; `""` for any tool, None for a free choice."""
    parallel: bool = True
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Text or calls. Tokens are estimated at four characters each: a demonstration model has no tokenizer."""

    text: str
    calls: tuple[ToolCall, ...]
    cut: bool
    """The token limit was reached."""
    input_tokens: int
    output_tokens: int


def answer(question: Question) -> Answer:
    """Cut at the question's token limit, and at one call where parallel calls are not wanted."""
    reply = _reply(question)
    calls = tuple(
        ToolCall(new_id("call_"), wanted.name, json.dumps(wanted.arguments, ensure_ascii=False))
        for wanted in (reply.calls if question.parallel else reply.calls[:1])
    )
    limit = (question.max_tokens or 0) * _CHARACTERS_PER_TOKEN
    cut = not calls and 0 < limit < len(reply.text)
    text = "" if calls else reply.text[:limit] if cut else reply.text
    spoken = sum(len(one.name) + len(one.arguments) for one in calls) + len(text)
    read = sum(len(part) for message in question.messages for part in message.parts)
    return Answer(
        text=text,
        calls=calls,
        cut=cut,
        input_tokens=read // _CHARACTERS_PER_TOKEN + 4 * len(question.messages),
        output_tokens=max(1, spoken // _CHARACTERS_PER_TOKEN),
    )


def pieces(text: str) -> Iterator[str]:
    """`text` a few words at a time; joined again they are the text."""
    words = text.split(" ")
    for start in range(0, len(words), _CHUNK_WORDS):
        piece = " ".join(words[start : start + _CHUNK_WORDS])
        yield piece if start + _CHUNK_WORDS >= len(words) else f"{piece} "


def _reply(question: Question) -> Reply:
    reply = scripted.answer(question.messages, question.tools, datetime.now(UTC))
    # a forced tool is forced once: the model may answer after its result
    answers_tool = bool(question.messages) and question.messages[-1].role == "tool"
    if question.forced is None or reply.calls or answers_tool:
        return reply
    tool = next((tool for tool in question.tools if question.forced in {tool.name, ""}), question.tools[0])
    request = next((message.text for message in reversed(question.messages) if message.role == "user"), "")
    return Reply(calls=(call(tool, Hints(text=request, title=request)),))
