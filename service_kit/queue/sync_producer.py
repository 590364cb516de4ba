"""The producer for services without an event loop (cron_service)."""

import redis
from pydantic import BaseModel

from service_kit.queue import scripts
from service_kit.queue.producer import LIFETIMES, entry

_ENQUEUE = scripts.load("enqueue")


class SyncProducer:
    """Puts messages on a queue, with the same script and rules as `RedisProducer`."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def enqueue(self, queue: str, message: BaseModel, *, front: bool = False) -> bool:
        """Put `message` at the tail (or head) of `queue`, once per `message.id`; False for a repeat.

        Raises `redis.exceptions.RedisError`; calling again with the same id is right then.
        """
        arguments = entry(message, front=front)
        return bool(scripts.run_sync(self._redis, _ENQUEUE, queue, *LIFETIMES, *arguments)[0])
