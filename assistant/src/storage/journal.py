"""The journal of a run: what it has done so far, so that a repeat goes on where it stopped.

A message is delivered again when the process died before the acknowledgement. Asked anew, a model may
call other tools than the first time, or the same ones in another order: effects would happen twice
under two idempotency keys. So the tool loop notes the run's messages *before* it runs the calls that
the model asked for, and again when their results are there. A repeat is given these messages: results
that are there are not fetched again, calls without a result are run again under the same key.

With the messages goes what the run has used of models: a process that is killed cannot record it, so a
repeat does. Several journals of one run (its sub-assistants') may hold the same model calls, each as of
its last note.

Key: `run:<user id>:<assistant id>` HASH, by the key of the run's context; what a run noted goes with the
turn that ends it, else LIFETIME after the last note. A sub-assistant's run has the call path in its
context's key, and so a journal of its own.

A run may also fail for good after its tools have done something: the user gets a friendly sentence, and
asks again. The next message finds what that run did as an *unfinished* turn of the conversation.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from ..core.model import AssistantMessage, Message, ToolMessage, UserMessage
from ..core.run_context import ModelUse, RunTotals
from .turns import StoredMessage, Turn, repair, turn_of

LIFETIME = 3600.0
"""Seconds; the queue gives a message up long before."""

NO_RESULT = '{"error":{"type":"failed","message":"no result came back: it may or may not have been done"}}'
NO_ANSWER = "(I could not finish this answer, and the user has not seen it. What the calls report is done.)"
"""Stands in the place of the answer, for the model."""


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
class RunUsage:
    """What one run of the message, `RunTotals.run`, had used when this was noted."""

    run: str
    uses: tuple[ModelUse, ...]


@dataclass(frozen=True, slots=True)
class _Record:
    """As it is stored: other versions have written it, so the names of its fields stay.

    `asked` is the bare text of the message: a run for another text does not go on from here.
    """

    asked: str
    messages: tuple[StoredMessage, ...]
    spent: tuple[RunUsage, ...] = ()
    v: Literal[1] = 1


_record: TypeAdapter[_Record] = TypeAdapter(_Record)


class RunJournal:
    """Implements `Journal` for one run; `keep` stores what is noted in place of what was noted before.

    What `totals` say at the time of a note is noted as well.
    """

    def __init__(
        self,
        asked: str,
        begun: tuple[Message, ...],
        totals: RunTotals,
        keep: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.begun = begun
        self._asked = asked
        self._totals = totals
        self._keep = keep

    async def note(self, messages: Sequence[Message]) -> None:
        """Keeps them in Redis."""
        # a snapshot: sub-assistants that run side by side go on adding to the totals
        spent = tuple(RunUsage(one.run, tuple(one.uses.values())) for one in self._totals.runs)
        await self._keep(_record.dump_json(_Record(self._asked, tuple(messages), spent)))


def load_journal(raw: bytes | None, asked: str) -> tuple[tuple[Message, ...], tuple[RunUsage, ...]]:
    """The stored messages, and what the run and those before it had used.

    There are no messages where a run for `asked` cannot go on from them, and no usage where it is not known.
    """
    record = _load_record(raw)
    if record is None:
        return (), ()
    return (record.messages if record.asked == asked else ()), record.spent


def make_unfinished_turn(key: str, raw: bytes) -> Turn | None:
    """A turn of what a run did that never came to an answer; None where the journal cannot be read."""
    record = _load_record(raw)
    if record is None:
        return None
    # providers refuse a history with an open call, so each gets a result that says it is uncertain
    open_calls: dict[str, Message] = {}
    for message in record.messages:
        if isinstance(message, AssistantMessage):
            open_calls = {call.id: ToolMessage(call.id, NO_RESULT) for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            open_calls.pop(message.call_id)
    messages = (*record.messages, *open_calls.values(), AssistantMessage(NO_ANSWER))
    return turn_of(f"unfinished:{key}", record.asked, tuple(repair(messages)))


def _load_record(raw: bytes | None) -> _Record | None:
    if raw is None:
        return None
    try:
        record = _record.validate_json(raw)
    except ValidationError:
        return None
    return record if _is_resumable(record.messages) else None


def _is_resumable(messages: Sequence[Message]) -> bool:
    """The opening, then rounds of calls with their results; in the last one some may be missing."""
    if not messages or not isinstance(messages[0], UserMessage):
        return False
    open_calls: list[str] = []
    for message in messages[1:]:
        match message:
            case AssistantMessage(tool_calls=calls) if calls and not open_calls:
                open_calls = [call.id for call in calls]
                if len(set(open_calls)) < len(open_calls):
                    return False  # two calls under one id: whose a result is cannot be known
            case ToolMessage(call_id=call_id) if call_id in open_calls:
                open_calls.remove(call_id)
            case _:
                return False
    return True
