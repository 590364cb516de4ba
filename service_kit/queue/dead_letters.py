"""Dead letters: messages that no further attempt is made for. An operator requeues or drops them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import redis.asyncio as aioredis

from service_kit.queue import scripts


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them. In Redis: a line of JSON, then the message byte for byte."""

    reason: str
    attempts: int
    by: str
    """The consumer that stopped trying."""
    at: datetime
    raw: bytes

    @classmethod
    def parse(cls, entry: bytes) -> "DeadLetter":
        """Read an entry of the dead list."""
        head, _, raw = entry.partition(b"\n")
        fields = json.loads(head.decode("utf-8", "replace"))
        return cls(
            reason=fields["reason"],
            attempts=int(fields["attempts"]),
            by=fields["by"],
            at=datetime.fromtimestamp(fields["at"] / 1000, UTC),
            raw=raw,
        )


async def drop_user_dead_letters(redis: aioredis.Redis, queue: str, user_id: int) -> int:
    """Drop the letters from and to a deleted user; returns how many there were."""
    return int(await scripts.run(redis, scripts.load("drop_user_dead_letters"), queue, "user_id", user_id))
