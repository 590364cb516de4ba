"""A turn: everything between one message of the user and its answer, kept and dropped as one.

Providers refuse a history in which a tool call has no result or a result no call, for ever after
(every later request carries it). So a turn is stored whole in one step, trimming happens between
turns only, and what is read is repaired before use: an older version may have written it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Discriminator, TypeAdapter, ValidationError

from ..core.model import AssistantMessage, Message, ToolMessage, UserMessage
from ..utils.tokens import MESSAGE_OVERHEAD, estimate_tokens

StoredMessage = Annotated[Message, Discriminator("role")]
"""Told apart by role: without it every message is tried as each of the three, twice the time to load."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange. `key` names the message (and call path) it answers, `asked` is its bare text."""

    key: str
    asked: str
    messages: tuple[StoredMessage, ...]
    tokens: int
    """Estimated size of `messages`."""
    v: Literal[1] = 1

    @property
    def answer(self) -> str:
        """What was said to the user in the end."""
        last = self.messages[-1]
        return last.text if isinstance(last, AssistantMessage) else ""

    def within(self, tokens: int) -> "Turn":
        """This turn, or only question and answer of it where it is larger than that.

        So one flood of tool results does not push everything else out.
        """
        if self.tokens <= tokens:
            return self
        return turn_of(self.key, self.asked, (self.messages[0], self.messages[-1]))


_turn: TypeAdapter[Turn] = TypeAdapter(Turn)


def turn_of(key: str, asked: str, messages: Sequence[Message]) -> Turn:
    """A turn of these messages, without what only its own run needs."""
    # opaque reasoning is large, and providers want it back within the run alone
    kept = tuple(
        replace(message, opaque="") if isinstance(message, AssistantMessage) and message.opaque else message
        for message in messages
    )
    return Turn(key=key, asked=asked, messages=kept, tokens=sum(map(size_of, kept)))


def size_of(message: Message) -> int:
    """Roughly how many tokens the message is."""
    size = MESSAGE_OVERHEAD + estimate_tokens(message.text)
    if isinstance(message, AssistantMessage):
        size += sum(
            MESSAGE_OVERHEAD + estimate_tokens(call.name) + estimate_tokens(call.arguments)
            for call in message.tool_calls
        )
    return size


def receipts_in(messages: Sequence[Message]) -> list[str]:
    """What calls in these messages have done, in words for the user."""
    return [message.receipt for message in messages if isinstance(message, ToolMessage) and message.receipt]


def dump_turn(turn: Turn) -> bytes:
    """As it is stored."""
    return _turn.dump_json(turn)


def load_turn(raw: bytes) -> Turn | None:
    """The stored turn, repaired; None where nothing usable is left."""
    try:
        turn = _turn.validate_json(raw)
    except ValidationError:
        return None
    messages = tuple(repair(turn.messages))
    if messages == turn.messages:
        # the stored size still holds; counting it anew at every load would cost more than the rest
        return turn if _is_exchange(messages) else None
    return turn_of(turn.key, turn.asked, messages) if _is_exchange(messages) else None


def _is_exchange(messages: Sequence[Message]) -> bool:
    return (
        len(messages) >= 2
        and isinstance(messages[0], UserMessage)
        and isinstance(messages[-1], AssistantMessage)
        and not messages[-1].tool_calls
    )


def repair(messages: Sequence[Message]) -> Iterator[Message]:
    """The messages without tool calls that nobody answered and without results that nobody asked for.

    Results come in the order of the calls.
    """
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if not isinstance(message, AssistantMessage):
            if not isinstance(message, ToolMessage):
                yield message
            continue
        results: dict[str, ToolMessage] = {}
        # of two results for one call the first counts
        while position < len(messages) and isinstance(result := messages[position], ToolMessage):
            results.setdefault(result.call_id, result)
            position += 1
        # by id: a call that stands twice would get two results
        answered = tuple({call.id: call for call in message.tool_calls if call.id in results}.values())
        if message.text or answered:
            yield AssistantMessage(text=message.text, tool_calls=answered)
        yield from (results[call.id] for call in answered)
