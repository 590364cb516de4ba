import socket
import threading
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio as aioredis

from cron_service.app.redis_client import RedisClient
from service_kit import redis as kit_redis
from service_kit.changes import Topic, announce
from service_kit.contracts.cron import Priority
from service_kit.contracts.messages import QUEUE_TO_TELEGRAM, OutgoingMessage, OutgoingType
from service_kit.settings import RedisSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def client(redis_client: aioredis.Redis, redis_settings: RedisSettings) -> Iterator[RedisClient]:
    connection = kit_redis.connect_sync(redis_settings)
    yield RedisClient(connection)
    connection.close()


async def waiting(redis_client: aioredis.Redis) -> list[OutgoingMessage]:
    rows = await redis_client.lrange(QUEUE_TO_TELEGRAM, 0, -1)
    return [OutgoingMessage.model_validate_json(row) for row in rows]


async def test_a_notification_is_what_the_bot_expects(client, redis_client):
    assert client.send_notification(700, "Vitamins", user_id=7, message_id="job:1:2")
    (message,) = await waiting(redis_client)
    assert message == OutgoingMessage(
        type=OutgoingType.NOTIFICATION,
        id="job:1:2",
        correlation_id="job:1:2",
        chat_id=700,
        user_id=7,
        text="Vitamins",
    )


async def test_one_of_high_priority_overtakes(client, redis_client):
    client.send_notification(700, "first")
    client.send_notification(700, "second")
    client.send_notification(700, "urgent", Priority.HIGH)
    assert [message.text for message in await waiting(redis_client)] == ["urgent", "first", "second"]


async def test_a_repeat_is_dropped(client, redis_client):
    assert client.send_notification(700, "once", message_id="job:1:2")
    assert not client.send_notification(700, "once", message_id="job:1:2")
    assert len(await waiting(redis_client)) == 1


async def test_the_jobs_version_moves_with_an_announcement(client, redis_client):
    before = client.jobs_version()
    await announce(redis_client, Topic.JOBS)
    assert client.jobs_version() != before


def test_it_tries_once_and_not_for_long():
    """The firing repeats what failed: tries within tries would add up to minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        settings = RedisSettings(redis_host="127.0.0.1", redis_port=server.getsockname()[1])
        connection = kit_redis.connect_sync(settings)
        failure: list[BaseException] = []

        def send() -> None:
            try:
                RedisClient(connection).send_notification(700, "Vitamins", message_id="job:1:2")
            except redis.RedisError as exc:
                failure.append(exc)

        sending = threading.Thread(target=send)
        sending.start()
        server.accept()[0].close()
        sending.join(10)
        assert failure
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
        connection.close()
    assert connection.connection_pool.connection_kwargs["socket_timeout"] == 5
