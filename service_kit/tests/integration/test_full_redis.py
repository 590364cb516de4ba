"""Redis at its memory limit: nothing new comes in, and what is in the suite is worked off and noted."""

import json

import pytest
from redis.exceptions import OutOfMemoryError
from structlog.testing import capture_logs

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.queue.base import Delivery, Depth, Offset, Reject, RetryLater
from service_kit.queue.inspect import Inspector
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect_sync
from service_kit.testing.limited_redis import LimitedRedis
from service_kit.testing.queue import IN, OUT, RedisBackend, consuming, options, until

pytestmark = pytest.mark.integration


def message(number, user=1):
    return IncomingMessage(id=f"tg:{number}", user_id=user, chat_id=user, text=f"text {number}")


async def echo(delivery: Delivery):
    return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="a much longer answer " * 50)]


async def test_it_refuses_new_messages_whole_and_lets_old_ones_be_served(redis_with_limit: LimitedRedis):
    client = redis_with_limit.client
    backend = RedisBackend(redis_with_limit.settings, client)
    await backend.producer().enqueue_many(IN, [(message(n, user=n % 3), None) for n in range(30)])
    await redis_with_limit.fill()
    with pytest.raises(OutOfMemoryError):
        await backend.producer().enqueue(IN, message(99), offset=Offset("offset", 100))
    assert await backend.producer().load_offset("offset") is None
    async with consuming(backend.consumer(options(), echo)) as consumer:
        await until(lambda: consumer.stats.done == 30)
    assert not await client.exists(f"{IN}:seen:tg:99")
    assert len(await backend.messages(OUT)) == 30
    await redis_with_limit.free()
    assert await backend.producer().enqueue(IN, message(99))


async def test_an_idle_consumer_goes_on_looking_and_is_well(redis_with_limit: LimitedRedis):
    """A blocking look counts as a command that needs memory, and is refused."""
    backend = RedisBackend(redis_with_limit.settings, redis_with_limit.client)
    await redis_with_limit.fill()
    with capture_logs() as logged:
        async with consuming(backend.consumer(options(block=30), echo)) as consumer:
            await until(lambda: redis_with_limit.client.exists(f"{IN}:consumers"))
            for number in range(3):
                # as another replica gives it back
                await OomSafeWriter(redis_with_limit.client).write(
                    ("RPUSH", IN, message(number).model_dump_json())
                )
                await until(lambda: consumer.stats.done, (number + 1).__eq__)
    assert "queue_not_reachable" not in {line["event"] for line in logged}


async def test_failures_waits_and_refusals_are_noted(redis_with_limit: LimitedRedis):
    async def handler(delivery: Delivery):
        if delivery.id == "tg:1" and delivery.attempt == 0:
            raise ValueError
        if delivery.id == "tg:2" and not waits:
            waits.append(delivery.id)
            raise RetryLater("away", delay=0)
        if delivery.id == "tg:3":
            raise Reject("no")
        return await echo(delivery)

    def notice(delivery: Delivery):
        return OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="sorry")

    waits: list[str] = []
    backend = RedisBackend(redis_with_limit.settings, redis_with_limit.client)
    batch = [(message(n, user=n), None) for n in (1, 2, 3)]
    await backend.producer().enqueue_many(IN, [*batch, *[(message(n, user=4), None) for n in range(4, 9)]])
    await redis_with_limit.fill()
    limits = options(lane_cap=2, longest_wait=60)
    async with consuming(backend.consumer(limits, handler, failure_notice=notice)) as consumer:
        await until(lambda: consumer.stats.done == 5)
        await until(lambda: backend.messages(OUT), lambda sent: len(sent) == 7)
    notices = [json.loads(raw)["id"] for raw in await backend.messages(OUT) if b"sorry" in raw]
    assert sorted(notices) == ["tg:3:r0", "tg:7:r0"]
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 3)


async def test_an_operator_can_make_room(redis_with_limit: LimitedRedis):
    async def handler(delivery: Delivery):
        raise Reject("no")

    backend = RedisBackend(redis_with_limit.settings, redis_with_limit.client)
    await backend.producer().enqueue_many(IN, [(message(n), None) for n in range(3)])
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.dead == 3)
    await redis_with_limit.fill()
    with connect_sync(redis_with_limit.settings) as client:
        assert Inspector(client).remove(IN, "requeue", 0) == 1
        assert Inspector(client).remove(IN, "drop") == 2
    assert await backend.depth(IN) == Depth(1, 0, 0, 0, 0)


async def test_a_position_is_stored(redis_with_limit: LimitedRedis):
    """It acknowledges: a bot that could not store it would handle the same updates for ever."""
    producer = RedisProducer(redis_with_limit.client)
    await producer.store_offset(Offset("offset", 1))
    await redis_with_limit.fill()
    await producer.store_offset(Offset("offset", 2))
    assert await producer.load_offset("offset") == 2


async def test_notes_are_written_in_one_step_and_answered(redis_with_limit: LimitedRedis):
    await redis_with_limit.fill()
    notes = OomSafeWriter(redis_with_limit.client)
    with pytest.raises(OutOfMemoryError):
        await redis_with_limit.client.set("plain", 1)
    answers = await notes.write(
        ("SET", "a", "1", "NX", "PX", 60_000),
        ("SET", "a", "2", "NX"),
        ("HSET", "h", "f", b"\xff"),
        ("GET", "a"),
    )
    assert answers == [b"OK", None, 1, b"1"]
