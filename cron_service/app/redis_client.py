"""What this service does in Redis: puts notifications on the bot's queue and sees that jobs changed."""

import redis

from service_kit.changes import Topic
from service_kit.contracts.cron import Priority
from service_kit.contracts.messages import QUEUE_TO_TELEGRAM, OutgoingMessage, OutgoingType
from service_kit.queue.sync_producer import SyncProducer


class RedisClient:
    """A thin facade over the kit's queue."""

    def __init__(self, client: redis.Redis, *, queue: str = QUEUE_TO_TELEGRAM) -> None:
        self._client = client
        self._producer = SyncProducer(client)
        self._queue = queue

    def send_notification(
        self,
        chat_id: int,
        message: str,
        priority: Priority = Priority.NORMAL,
        *,
        user_id: int | None = None,
        message_id: str | None = None,
    ) -> bool:
        """Put a notification on the queue; one of high priority overtakes all that waits there.

        With a `message_id` it may be called again: a repeat is dropped and answers False.

        Raises:
            redis.RedisError: Redis is away.
        """
        notification = OutgoingMessage(
            type=OutgoingType.NOTIFICATION,
            id=message_id,
            correlation_id=message_id,
            chat_id=chat_id,
            user_id=user_id,
            text=message,
        )
        return self._producer.enqueue(self._queue, notification, front=priority is Priority.HIGH)

    def jobs_version(self) -> int:
        """The counter of changes to jobs; raises redis.RedisError."""
        return int(self._client.get(Topic.JOBS) or 0)
