"""Reads the newest turn out of a conversation: what is asked, in which language, what is known.

The suite puts time, zone, name and language into the newest user message, as a block before the
user's own words: `<context>…</context>`, `[context …]`, a text part or a message of its own. Each of
these shapes is recognised; anything else counts as the user's words.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from .conversation import JsonObject, Message, Reply, Tool

_BLOCK = re.compile(
    r"\s*(?:<(?P<tag>context|user_context|turn_context|now|environment)\b[^>]{0,200}>(?P<body>.{0,4000}?)</(?P=tag)>"
    r"|[\[(](?:context|current|now|time)\b(?P<bracket>[^\])\n]{0,1000})[\])](?=\s*(?:\n|$)))\s*",
    re.IGNORECASE | re.DOTALL,
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?\s?(?:Z|[+-]\d\d:?\d\d)?")
_ZONE = re.compile(r"\b(?:[A-Z][A-Za-z]+(?:/[A-Za-z_+-]+){1,2}|UTC)\b")
_ZONE_UNKNOWN = re.compile(r"\btime_?zone\b[^\n]*\b(?:not told|not known|unknown)\b", re.IGNORECASE)
_NAME = re.compile(r"\b(?:name|user)\b[\"']?\s*[:=]\s*[\"']?([^\n;,\"'<>|]{1,64})", re.IGNORECASE)
_LANGUAGE = re.compile(r"\blanguage\b[\"']?\s*[:=]\s*[\"']?([a-z]{2})", re.IGNORECASE)
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A finished call of this turn."""

    name: str
    arguments: JsonObject
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the message's context block says; None where it does not."""

    now: datetime | None = None
    zone: str | None = None
    """The user's own; None too where the block says that it is only assumed."""
    name: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The newest turn. `request` is the user's own text; `now` is aware, in the user's zone."""

    request: str
    russian: bool
    now: datetime
    context: Context
    system: str
    tools: tuple[Tool, ...]
    before: tuple[Message, ...] = ()
    """The user's messages before the request."""
    results: tuple[ToolResult, ...] = ()

    @property
    def earlier(self) -> tuple[str, ...]:
        """What the user said before, oldest first."""
        said = (split_context(message)[1] for message in self.before)
        return tuple(words for words in said if words)

    def say(self, english: str, russian: str) -> Reply:
        """A text in the user's language."""
        return Reply(text=self.pick(english, russian))

    def pick(self, english: str, russian: str) -> str:
        """The form in the user's language."""
        return russian if self.russian else english


def read_turn(messages: Sequence[Message], tools: Sequence[Tool], now: datetime) -> Turn:
    """The turn that waits for an answer; `now` (aware) is used where no context block tells the time."""
    said = [message for message in messages if message.role == "user"]
    context, request = _newest(said)
    moment = context.now or now.astimezone(UTC)
    if context.zone:
        moment = moment.astimezone(ZoneInfo(context.zone))
    return Turn(
        request=request,
        russian=_is_russian(request, context.language),
        now=moment,
        context=context,
        system="\n".join(message.text for message in messages if message.role == "system"),
        tools=tuple(tools),
        before=tuple(said),
        results=_results(messages),
    )


def split_context(message: Message) -> tuple[Context | None, str]:
    """The context block of a user message (None if there is none) and the user's own words."""
    blocks: list[str] = []
    words = message.text
    while match := _BLOCK.match(words):
        blocks.append(match["body"] if match["body"] is not None else match["bracket"])
        words = words[match.end() :]
    return (_read_context("\n".join(blocks)) if blocks else None), words.strip()


def _read_context(text: str) -> Context:
    zone = next((found for found in _ZONE.findall(text) if found in _zones()), None)
    name = _NAME.search(text)
    language = _LANGUAGE.search(text)
    return Context(
        now=_moment(text, zone),
        zone=None if _ZONE_UNKNOWN.search(text) else zone,
        name=name[1].strip() if name else None,
        language=language[1].lower() if language else None,
    )


def _moment(text: str, zone: str | None) -> datetime | None:
    found = _MOMENT.search(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[0].replace(" Z", "Z").replace(" +", "+"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone or "UTC"))


def _newest(said: list[Message]) -> tuple[Context, str]:
    """The newest words and their context; removes from `said` what belongs to them.

    A block may be a message of its own, before or after the words; a block further up is of an older turn.
    """
    context, words = None, ""
    while said and not words:
        found, words = split_context(said.pop())
        context = context or found
    if context is None and said:
        found, others = split_context(said[-1])
        if found is not None and not others:
            said.pop()
            context = found
    return context or Context(), words


def _is_russian(text: str, preferred: str | None) -> bool:
    cyrillic, latin = len(_CYRILLIC.findall(text)), len(_LATIN.findall(text))
    if cyrillic == latin == 0:
        return preferred == "ru"
    # Russian sentences hold English names and commands more often than the other way round
    return cyrillic * 2 >= latin


def _results(messages: Sequence[Message]) -> tuple[ToolResult, ...]:
    """Results of the calls that the conversation ends with; empty when it ends with the user."""
    answers: dict[str, str] = {}
    # backwards, for a thread holds the results of older turns as well
    for message in reversed(messages):
        if message.role == "tool":
            answers[message.tool_call_id or ""] = message.text
        elif message.role == "assistant" and message.tool_calls and answers:
            return tuple(
                ToolResult(call.name, _arguments(call.arguments), answers.get(call.id, ""))
                for call in message.tool_calls
            )
        else:
            break
    return ()


def _arguments(text: str) -> JsonObject:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
