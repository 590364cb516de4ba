"""Messages that were given up: how they are kept, for an operator to look at."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import redis.asyncio as aioredis

from service_kit.queue import scripts


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried message. In Redis: a line of JSON, then the message byte for byte."""

    reason: str
    attempts: int
    by: str
    """The consumer that buried it."""
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


async def drop_letters_of(redis: aioredis.Redis, queue: str, user_id: int) -> int:
    """Drop what this user, who is gone, wrote or was written; returns how many letters that were."""
    return int(await scripts.run(redis, scripts.load("forget"), queue, "user_id", user_id))
