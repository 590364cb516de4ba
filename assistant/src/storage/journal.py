"""What a run has done so far, so that a repeat of it goes on where it stopped.

A message is delivered again when the process died before the acknowledgement. Asked anew, a model may
call other tools than the first time, or the same ones in another order: effects would happen twice
under two idempotency keys. So the tool loop notes the run's messages *before* it runs the calls that
the model asked for, and again when their results are there. A repeat is given these messages: results
that are there are not fetched again, calls without a result are run again under the same key.

Key: `run:<user id>:<assistant id>:<context key>`, STRING, gone with the turn that ends the run, else
after LIFETIME. A sub-assistant's run has the call path in its context's key, and so a journal of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import redis.asyncio as aioredis
from pydantic import TypeAdapter, ValidationError

from ..core.model import AssistantMessage, Message, ToolMessage, UserMessage
from .turns import StoredMessage

LIFETIME = 3600.0
"""Seconds; the queue gives a message up long before."""


class Journal(Protocol):
    """One run's journal."""

    @property
    def begun(self) -> tuple[Message, ...]:
        """What an earlier delivery of the same message came to; empty for a message that is new.

        The opening, then for each round the model's calls and their results in the order of the calls.
        Results may be missing in the last round only. Names and arguments stand as they were noted.
        """
        ...

    async def note(self, messages: Sequence[Message]) -> None:
        """Keep all the run's messages so far, the opening first; one round trip to Redis.

        Raises:
            RedisError: not kept; the calls must not be run.
        """
        ...


class NoJournal:
    """Implements `Journal` for runs that nobody repeats."""

    begun: tuple[Message, ...] = ()

    async def note(self, messages: Sequence[Message]) -> None:
        """Keeps nothing."""


@dataclass(frozen=True, slots=True)
class _Record:
    """As it is stored; `asked` is the bare text of the message, whose run alone may go on from it."""

    asked: str
    messages: tuple[StoredMessage, ...]
    v: Literal[1] = 1


_record: TypeAdapter[_Record] = TypeAdapter(_Record)


class RunJournal:
    """Implements `Journal` for one run, under one key of Redis."""

    def __init__(
        self, redis: aioredis.Redis, key: str, asked: str, begun: tuple[Message, ...], *, lifetime_ms: int
    ) -> None:
        self.begun = begun
        self._redis = redis
        self._key = key
        self._asked = asked
        self._lifetime_ms = lifetime_ms

    async def note(self, messages: Sequence[Message]) -> None:
        """Keeps them in place of what was noted before."""
        record = _record.dump_json(_Record(self._asked, tuple(messages)))
        await self._redis.set(self._key, record, px=self._lifetime_ms)


def run_key(user_id: int, assistant_id: str, context_key: str) -> str:
    """Where the run's journal stands."""
    return f"run:{user_id}:{assistant_id}:{context_key}"


def load_run(raw: bytes | None, asked: str) -> tuple[Message, ...]:
    """The stored messages; empty where there are none that a run for `asked` can go on from."""
    if raw is None:
        return ()
    try:
        record = _record.validate_json(raw)
    except ValidationError:
        return ()
    return record.messages if record.asked == asked and _can_go_on(record.messages) else ()


def _can_go_on(messages: Sequence[Message]) -> bool:
    """The opening, then rounds of calls with their results; in the last one some may be missing."""
    if not messages or not isinstance(messages[0], UserMessage):
        return False
    open_calls: list[str] = []
    for message in messages[1:]:
        match message:
            case AssistantMessage(tool_calls=calls) if calls and not open_calls:
                open_calls = [call.id for call in calls]
            case ToolMessage(call_id=call_id) if call_id in open_calls:
                open_calls.remove(call_id)
            case _:
                return False
    return True
