"""Conversations in Redis: one list of turns a user and assistant.

Keys, each alive until nobody has used the conversation for the retention time:
`conversation:<user id>:<assistant id>` LIST of turns as JSON, oldest first;
`conversations:<user id>` SET of the assistant ids that have one.
Beside them stand the journals of runs at work (`journal`).

Loading and appending are one round trip each; the turn itself is one command, so it is there whole or
not at all. Order: the queue serves one user's messages one by one; sub-assistants that one message asks
twice at once append whole turns, in any order.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import cast

import redis.asyncio as aioredis

from service_kit.logging import get_logger

from ..core.model import Message
from .journal import LIFETIME, RunJournal, load_run, run_key
from .turns import Turn, dump_turn, load_turn
from .window import newest_within, turns_to_keep

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is remembered: whole turns, oldest first, and what a run of this message had begun."""

    turns: tuple[Turn, ...] = ()
    begun: tuple[Message, ...] = ()

    def find(self, key: str, asked: str) -> Turn | None:
        """The turn that answered this very message before, if there is one."""
        return next((turn for turn in self.turns if turn.key == key and turn.asked == asked), None)

    def window(self, tokens: int) -> tuple[Turn, ...]:
        """The newest turns, of at most so many estimated tokens, for the model."""
        return newest_within(self.turns, tokens)


class ConversationStore:
    """Loads, appends and forgets conversations."""

    def __init__(self, redis: aioredis.Redis, *, retention_s: float) -> None:
        self._redis = redis
        self._retention_ms = int(retention_s * 1000)

    async def load(self, user_id: int, assistant_id: str, *, key: str, asked: str) -> Conversation:
        """All that is kept, and how far the run with this `key` (of `RunContext`) for `asked` had come."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.lrange(_key(user_id, assistant_id), 0, -1)
            pipe.get(run_key(user_id, assistant_id, key))
            raws, run = await pipe.execute()
        turns: list[Turn] = []
        for raw in raws:
            if (turn := load_turn(raw)) is not None:
                turns.append(turn)
            else:
                log.warning("broken_turn_skipped", user_id=user_id, assistant_id=assistant_id, size=len(raw))
        return Conversation(tuple(turns), load_run(run, asked))

    def journal(
        self, user_id: int, assistant_id: str, *, key: str, asked: str, begun: tuple[Message, ...]
    ) -> RunJournal:
        """The journal of one run; the turn that ends the run ends it."""
        return RunJournal(
            self._redis,
            run_key(user_id, assistant_id, key),
            asked,
            begun,
            lifetime_ms=min(int(LIFETIME * 1000), self._retention_ms),
        )

    async def append(
        self, user_id: int, assistant_id: str, turn: Turn, *, before: Conversation, budget: int
    ) -> None:
        """Store `turn` behind what was there `before`, and drop the run's journal."""
        key, index = _key(user_id, assistant_id), _index(user_id)
        keep = turns_to_keep((*before.turns, turn), budget)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.rpush(key, dump_turn(turn))
            if keep is not None:
                pipe.ltrim(key, -keep, -1)
            pipe.pexpire(key, self._retention_ms)
            pipe.sadd(index, assistant_id)
            pipe.pexpire(index, self._retention_ms)
            pipe.delete(run_key(user_id, assistant_id, turn.key))
            await pipe.execute()

    async def forget(self, user_id: int) -> int:
        """Drop all conversations of this user; returns how many there were."""
        index = _index(user_id)
        members = await cast("Awaitable[set[bytes]]", self._redis.smembers(index))
        keys = [_key(user_id, member.decode()) for member in members]
        removed: int = await self._redis.delete(index, *keys)
        return max(0, removed - 1)


def _key(user_id: int, assistant_id: str) -> str:
    return f"conversation:{user_id}:{assistant_id}"


def _index(user_id: int) -> str:
    return f"conversations:{user_id}"
