"""Messages of a user that were given up."""

from collections.abc import Sequence

import redis.asyncio as aioredis

from service_kit.queue.dead_letters import drop_user_dead_letters


class DeadLetters:
    """Implements `UserData` for users who are gone; whoever only begins anew may have theirs requeued."""

    def __init__(self, redis: aioredis.Redis, queues: Sequence[str]) -> None:
        self._redis = redis
        self._queues = queues

    async def forget(self, user_id: int) -> int:
        """Drop what they wrote and were written."""
        return sum([await drop_user_dead_letters(self._redis, queue, user_id) for queue in self._queues])
