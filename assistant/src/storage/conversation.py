"""Conversations in Redis: one list of turns a user and assistant.

Keys: `conversation:<user id>:<assistant id>` LIST of turns as JSON, oldest first;
`conversations:<user id>` SET of the assistant ids that have one. Both live until nobody has used them
for the retention time.

The list is the window that the model sees. When it outgrows its budget, it is cut down to a part of
it, so that between two cuts it only ever grows at its end and the provider's prompt cache holds.
Loading and appending are one round trip each; the turn itself is one command, so it is there whole or
not at all. Order: the queue serves one user's messages one by one;
sub-assistants that one message asks twice at once append whole turns, in any order.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import cast

import redis.asyncio as aioredis

from service_kit.logging import get_logger

from .turns import Turn, dump_turn, load_turn

log = get_logger(__name__)

KEPT_AFTER_CUT = 0.6
"""Share of the budget that is left when the window has been cut."""
MAX_TURNS = 400
"""However short they are."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is remembered, within the budget: whole turns, oldest first."""

    turns: tuple[Turn, ...] = ()

    def find(self, key: str, asked: str) -> Turn | None:
        """The turn that answered this very message before, if there is one."""
        return next((turn for turn in self.turns if turn.key == key and turn.asked == asked), None)


class ConversationStore:
    """Loads, appends and forgets conversations."""

    def __init__(self, redis: aioredis.Redis, *, retention_s: float) -> None:
        self._redis = redis
        self._retention_ms = int(retention_s * 1000)

    async def load(self, user_id: int, assistant_id: str, *, budget: int) -> Conversation:
        """The newest turns of at most `budget` estimated tokens."""
        raws = await cast("Awaitable[list[bytes]]", self._redis.lrange(_key(user_id, assistant_id), 0, -1))
        turns: list[Turn] = []
        left = budget
        for raw in reversed(raws):
            turn = load_turn(raw)
            if turn is None:
                log.warning("broken_turn_skipped", user_id=user_id, assistant_id=assistant_id, size=len(raw))
                continue
            left -= turn.tokens
            if left < 0:
                break
            turns.append(turn)
        return Conversation(tuple(reversed(turns)))

    async def append(
        self,
        user_id: int,
        assistant_id: str,
        turn: Turn,
        *,
        before: Sequence[Turn],
        budget: int,
        cut: bool = False,
    ) -> None:
        """Store `turn` behind the turns `before` it, which the run has seen.

        Older ones go when the budget is exceeded, or, with `cut`, when `before` does not hold them.
        """
        key, index = _key(user_id, assistant_id), _index(user_id)
        keep = len(before) + 1 if cut else _kept((*before, turn), budget)
        async with self._redis.pipeline(transaction=False) as pipe:
            if not before:
                pipe.sadd(index, assistant_id)
            pipe.rpush(key, dump_turn(turn))
            if keep is not None:
                pipe.ltrim(key, -keep, -1)
            pipe.pexpire(key, self._retention_ms)
            pipe.pexpire(index, self._retention_ms)
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


def _kept(turns: Sequence[Turn], budget: int) -> int | None:
    """How many of the newest turns stay (the newest always does); None: nothing is cut.

    Within the budget that includes what this run has not seen: a parallel run of the same
    sub-assistant may have appended it.
    """
    if sum(turn.tokens for turn in turns) <= budget:
        return MAX_TURNS if len(turns) > MAX_TURNS else None
    left = budget * KEPT_AFTER_CUT
    keep = 0
    for turn in reversed(turns):
        left -= turn.tokens
        if left < 0:
            break
        keep += 1
    return max(1, min(keep, MAX_TURNS))
