"""Conversations in Redis: one list of turns a user and assistant, and a summary of the turns before them.

Keys, each alive until nobody has used the conversation for the retention time:
`conversation:<user id>:<assistant id>` LIST of turns as JSON, oldest first;
`summary:<user id>:<assistant id>` STRING, what is left of the turns before them;
`conversations:<user id>` SET of the assistant ids that have one;
`run:<user id>:<assistant id>` HASH, the journals of runs at work (`journal`), which live shorter.

Loading and appending are one round trip each. What changes more than one key is a script, done whole or not
at all. Order: the queue serves one user's messages one by one; sub-assistants that one
message asks twice at once append whole turns, in any order. A compaction may end at any time: it takes turns
from the front, and its script does nothing where the front is no longer what was summarized.
"""

import hashlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple, Self, cast

import redis.asyncio as aioredis

from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter

from ..core.model import Message
from ..core.run_context import RunTotals
from .journal import LIFETIME, RunJournal, RunUsage, load_journal, make_unfinished_turn
from .summary import Summary, dump_summary, load_summary
from .turns import Turn, dump_turn, load_turn
from .window import count_after_compaction, count_after_forced_cut, count_within, exceeds_budget
from .write_retry import retry_write

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Whole turns, oldest first, and a summary of those before them.

    `begun` are the messages of an earlier run for this very message, `spent` what such runs have used.
    """

    turns: tuple[Turn, ...] = ()
    summary: Summary | None = None
    begun: tuple[Message, ...] = ()
    spent: tuple[RunUsage, ...] = ()

    def find(self, key: str, asked: str) -> Turn | None:
        """The turn that answered this very message before, if there is one."""
        return next((turn for turn in self.turns if turn.key == key and turn.asked == asked), None)

    def window(self, tokens: int) -> tuple[Turn, ...]:
        """For the model: the summary as the first exchange, then the newest turns; at most so many tokens."""
        shown: tuple[Turn, ...] = ()
        if self.summary is not None and (first := self.summary.as_turn()).tokens <= tokens:
            shown = (first,)
            tokens -= first.tokens
        count = count_within([turn.tokens for turn in self.turns], tokens)
        return shown + self.turns[len(self.turns) - count :]


class _Keys(NamedTuple):
    """The Redis keys of one conversation, in the order in which `append.lua` takes them."""

    turns: str
    summary: str
    assistants: str
    runs: str

    @classmethod
    def of(cls, user_id: int, assistant_id: str) -> Self:
        place = f"{user_id}:{assistant_id}"
        return cls(f"conversation:{place}", f"summary:{place}", _index(user_id), f"run:{place}")


@dataclass(frozen=True, slots=True)
class OldestTurns:
    """The oldest turns of a conversation as they were read, to be replaced by a summary."""

    user_id: int
    assistant_id: str
    turns: tuple[Turn, ...]
    summary: Summary | None
    """Of the turns before them."""
    front: tuple[int, str]
    """For `compact.lua`: the number of stored turns, and a digest of the first."""


class ConversationStore:
    """Loads, appends, compacts and forgets conversations."""

    def __init__(self, redis: aioredis.Redis, *, retention_s: float) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)
        self._retention_ms = int(retention_s * 1000)
        self._append, self._compact, self._store_unfinished = (
            redis.register_script((resources.files(__package__) / f"{name}.lua").read_text("utf-8"))
            for name in ("append", "compact", "store_unfinished")
        )

    async def load(
        self, user_id: int, assistant_id: str, *, message_id: str, key: str, asked: str
    ) -> Conversation:
        """All that is kept, and how far the run with this `key` (of `RunContext`) for `asked` had come.

        Runs of earlier messages that did something and never came to an answer become turns.
        """
        keys = _Keys.of(user_id, assistant_id)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.lrange(keys.turns, 0, -1)
            pipe.get(keys.summary)
            pipe.hgetall(keys.runs)
            raws, summary, runs = await pipe.execute()
        # keys of this message's own runs stay: they are what a repeat goes on from
        unfinished = {name: raw for name, raw in runs.items() if not _is_of(message_id, name.decode())}
        if unfinished:
            # read before they were turns, so they are added here as the script adds them there
            raws += await self._store_unfinished_runs(user_id, assistant_id, unfinished)
        turns = tuple(turn for raw in raws if (turn := load_turn(raw)) is not None)
        if len(turns) < len(raws):
            broken = len(raws) - len(turns)
            log.warning("broken_turns_skipped", user_id=user_id, assistant_id=assistant_id, turns=broken)
        begun, spent = load_journal(runs.get(key.encode()), asked)
        return Conversation(turns, load_summary(summary), begun, spent)

    def journal(
        self,
        user_id: int,
        assistant_id: str,
        *,
        key: str,
        asked: str,
        begun: tuple[Message, ...],
        totals: RunTotals,
        until: float = 0.0,
    ) -> RunJournal:
        """The journal of one run; the turn that ends the run ends it.

        While Redis is away a note waits, `until` that time of the event loop's clock at most.
        """

        async def keep(noted: bytes) -> None:
            await retry_write(lambda: self._note(user_id, assistant_id, key, noted), until=until)

        return RunJournal(asked, begun, totals, keep)

    async def append(
        self, user_id: int, assistant_id: str, turn: Turn, *, before: Conversation, budget: int
    ) -> None:
        """Store `turn` behind what was there `before`, and drop the run's journal.

        The oldest turns go without a summary where they are far beyond the budget.
        """
        # the message waits for this write: only a number is computed here, no summary
        keep = count_after_forced_cut([each.tokens for each in (*before.turns, turn)], budget)
        await self._append(
            keys=_Keys.of(user_id, assistant_id),
            args=[dump_turn(turn), turn.key, assistant_id, self._retention_ms, keep or 0],
        )
        if keep is not None:
            dropped = len(before.turns) + 1 - keep
            log.warning("turns_dropped_without_summary", assistant_id=assistant_id, turns=dropped)

    async def load_oldest(
        self, user_id: int, assistant_id: str, *, budget: int, keep: int | None = None
    ) -> OldestTurns | None:
        """The turns to be compacted now; None: there are none.

        With `keep` no more than so many of the newest stay, though the budget may hold more.
        """
        keys = _Keys.of(user_id, assistant_id)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.lrange(keys.turns, 0, -1)
            pipe.get(keys.summary)
            raws, summary = await pipe.execute()
        # a turn that cannot be read keeps its place, for the script counts places
        turns = [load_turn(raw) for raw in raws]
        sizes = [turn.tokens if turn else 0 for turn in turns]
        kept = count_after_compaction(sizes, budget) if exceeds_budget(sizes, budget) else len(raws)
        if keep is not None:
            kept = min(kept, max(1, keep))
        count = len(raws) - kept
        if count <= 0:
            return None
        return OldestTurns(
            user_id,
            assistant_id,
            tuple(turn for turn in turns[:count] if turn is not None),
            load_summary(summary),
            (count, hashlib.sha1(raws[0], usedforsecurity=False).hexdigest()),
        )

    async def compact(self, oldest: OldestTurns, summary: Summary) -> bool:
        """Put `summary` in the place of these turns, in one step.

        False: it is not the conversation any more that was read; nothing was changed.
        """
        keys = _Keys.of(oldest.user_id, oldest.assistant_id)
        is_compacted = await self._compact(
            keys=[keys.turns, keys.summary], args=[*oldest.front, dump_summary(summary)]
        )
        return bool(is_compacted)

    async def forget(self, user_id: int) -> int:
        """Drop all conversations of this user, with summaries and journals; returns how many there were."""
        index = _index(user_id)
        members = await cast("Awaitable[set[bytes]]", self._redis.smembers(index))
        assistants = [member.decode() for member in members]
        await self._redis.delete(index, *(key for each in assistants for key in _Keys.of(user_id, each)))
        return len(assistants)

    async def _note(self, user_id: int, assistant_id: str, key: str, noted: bytes) -> None:
        keys = _Keys.of(user_id, assistant_id)
        await self._writer.write(
            ("HSET", keys.runs, key, noted),
            ("PEXPIRE", keys.runs, min(int(LIFETIME * 1000), self._retention_ms)),
            # so that `forget` finds the journal, though there may be no turn yet
            ("SADD", keys.assistants, assistant_id),
            ("PEXPIRE", keys.assistants, self._retention_ms),
        )

    async def _store_unfinished_runs(
        self, user_id: int, assistant_id: str, runs: Mapping[bytes, bytes]
    ) -> list[bytes]:
        """The turns that these unfinished runs have become, in the order of their keys."""
        turns: list[bytes] = []
        args: list[bytes | int] = [self._retention_ms]
        for name, raw in sorted(runs.items()):
            turn = make_unfinished_turn(name.decode(), raw)
            dumped = dump_turn(turn) if turn is not None else b""
            args += (name, dumped)
            turns += [dumped] if dumped else []
        keys = _Keys.of(user_id, assistant_id)
        await self._store_unfinished(keys=[keys.runs, keys.turns], args=args)
        log.info("unfinished_runs_stored", assistant_id=assistant_id, runs=len(turns))
        return turns


def _is_of(message_id: str, key: str) -> bool:
    """Whether the run with this key works for that message."""
    return key == message_id or key.startswith(f"{message_id}:")


def _index(user_id: int) -> str:
    return f"conversations:{user_id}"
