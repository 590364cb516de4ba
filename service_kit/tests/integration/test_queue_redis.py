"""What only the queue in Redis has: leases, fencing, reaping, and survival of what Redis may answer."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ResponseError

from service_kit import redis as kit_redis
from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.health import Health
from service_kit.queue.base import ConsumerOptions, Delivery, Depth, Offset, Reject, RetryLater
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.dead_letters import drop_user_dead_letters
from service_kit.queue.producer import RedisProducer
from service_kit.queue.redis_store import RedisStore
from service_kit.queue.results import Failure, LeaseLostError, Outcome
from service_kit.queue.sync_producer import SyncProducer
from service_kit.testing.queue import IN, OUT, RedisBackend, consuming, options, until

pytestmark = pytest.mark.integration


@pytest.fixture
def backend(redis_settings, redis_client):
    return RedisBackend(redis_settings, redis_client)


def message(number, user=1):
    return IncomingMessage(id=f"tg:{number}", user_id=user, chat_id=user, text=f"text {number}")


async def echo(delivery: Delivery):
    return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="answer")]


async def ids(backend, queue=OUT):
    return [json.loads(raw)["id"] for raw in await backend.messages(queue)]


@asynccontextmanager
async def a_store(redis_settings, **changes):
    """A consumer's store without a consumer: the test decides what happens when."""
    store = RedisStore(redis_settings, options(**changes))
    work = asyncio.create_task(store.run())
    try:
        await store.join(replace=True)
        yield store
    finally:
        work.cancel()
        await store.close()


async def declare_dead(redis_client, store):
    """As if the consumer had stood still for longer than its heartbeat lives."""
    await redis_client.delete(f"{IN}:hb:{store.lease.id}")


async def test_a_consumer_presumed_dead_publishes_nothing(backend, redis_settings, redis_client):
    await backend.producer().enqueue_many(IN, [(message(1), None), (message(2), None)])
    async with a_store(redis_settings, slot="a") as frozen, a_store(redis_settings, slot="b") as other:
        (late,) = (await frozen.claim(2)).deliveries
        lease = frozen.lease
        await declare_dead(redis_client, frozen)
        assert (await other.reap()).requeued == 2
        (taken,) = (await other.claim(2)).deliveries
        assert taken.raw == late.raw
        assert (await frozen.finish(lease, late, [b'{"id":"late"}'], closing=False)).outcome is Outcome.FENCED
        assert await backend.messages(OUT) == []
        settled = await other.finish(other.lease, taken, [b'{"id":"good"}'], closing=False)
        assert settled.outcome is Outcome.DONE
        assert settled.next.id == "tg:2"
    assert await ids(backend) == ["good"]


async def test_a_consumer_presumed_dead_can_claim_only_in_a_new_life(backend, redis_settings, redis_client):
    await backend.producer().enqueue(IN, message(1))
    async with a_store(redis_settings, slot="a") as frozen, a_store(redis_settings, slot="b") as other:
        await declare_dead(redis_client, frozen)
        await other.reap()
        with pytest.raises(LeaseLostError):
            await frozen.claim(1)
        with pytest.raises(LeaseLostError):
            await frozen.heartbeat()
        assert await backend.producer().waiting(IN) == 1
        await frozen.join(replace=False)
        assert len((await frozen.claim(1)).deliveries) == 1


async def test_a_frozen_consumer_comes_back_and_stops_what_it_ran(backend, redis_settings, redis_client):
    """It learns that its message was given away, abandons it, and serves it anew in a new life."""
    starts = []
    abandoned = asyncio.Event()

    async def handler(delivery: Delivery):
        starts.append(delivery.id)
        if len(starts) == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                abandoned.set()
                raise
        return await echo(delivery)

    await backend.producer().enqueue(IN, message(1))
    consumer = backend.consumer(options(slot="a"), handler)
    async with consuming(consumer):
        await until(lambda: len(starts) == 1)
        async with a_store(redis_settings, slot="a"):  # takes what the consumer holds, though it lives
            await until(lambda: consumer.stats.done == 1)
            assert abandoned.is_set()
    assert await ids(backend) == ["tg:1:r0"]


async def test_a_new_process_of_a_slot_takes_over_at_once_and_in_order(backend, redis_settings):
    await backend.producer().enqueue_many(IN, [(message(n, user=n % 2), None) for n in range(6)])
    async with a_store(redis_settings, slot="a") as first:
        assert len((await first.claim(10)).deliveries) == 2
        assert await backend.depth(IN) == Depth(0, 4, 2, 0, 0)
        async with a_store(redis_settings, slot="other-slot"):
            assert await backend.depth(IN) == Depth(0, 4, 2, 0, 0)
        async with a_store(redis_settings, slot="a"):
            assert await ids(backend, IN) == ["tg:0", "tg:2", "tg:4", "tg:1", "tg:3", "tg:5"]


async def test_a_message_that_takes_its_consumer_down_too_often_is_a_dead_letter(backend, redis_settings):
    await backend.producer().enqueue_many(IN, [(message(1), None), (message(2), None)])
    for _ in range(3):
        async with a_store(redis_settings, max_crashes=3) as store:
            claimed = await store.claim(1)
            assert [one.id for one in claimed.deliveries] == ["tg:1"]

    def notice(delivery: Delivery):
        return OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="Sorry")

    async with consuming(backend.consumer(options(max_crashes=3), echo, failure_notice=notice)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    (letter,) = await backend.dead(IN)
    assert "died 3 times" in letter.reason
    assert sorted(await ids(backend)) == ["tg:1:r0", "tg:2:r0"]


async def test_a_crash_costs_the_innocent_no_attempts(backend, redis_settings):
    await backend.producer().enqueue_many(IN, [(message(n, user=n), None) for n in range(5)])
    for _ in range(4):
        async with a_store(redis_settings) as store:
            deliveries = (await store.claim(10)).deliveries
            assert [one.attempt for one in deliveries] == [0] * 5
    assert await backend.depth(IN) == Depth(0, 0, 5, 0, 0)


async def test_a_finish_that_is_repeated_publishes_once_and_recovers_the_next_one(backend, redis_settings):
    """As after a lost answer: the script ran, and runs again."""
    await backend.producer().enqueue_many(IN, [(message(1), None), (message(2), None)])
    async with a_store(redis_settings) as store:
        (first,) = (await store.claim(2)).deliveries
        assert (await store.finish(store.lease, first, [b"{}"], closing=False)).next.id == "tg:2"
        store.lease.running.clear()  # the answer above is lost: nothing is known of tg:2
        repeated = await store.finish(store.lease, first, [b"{}"], closing=False)
        assert (repeated.outcome, repeated.next) == (Outcome.DONE, None)
        recovered = await store.claim(2)
        assert recovered.recovered
        assert [one.id for one in recovered.deliveries] == ["tg:2"]
    assert await backend.messages(OUT) == [b"{}"]


async def test_a_duplicate_in_flight_elsewhere_is_answered_once(backend, redis_settings):
    """Without a group nothing keeps two of the same id apart until one is done."""
    for _ in range(2):
        await backend.push(IN, b'{"id": "x"}')
    async with a_store(redis_settings, slot="a") as one, a_store(redis_settings, slot="b") as two:
        (mine,) = (await one.claim(1)).deliveries
        (yours,) = (await two.claim(1)).deliveries
        await one.finish(one.lease, mine, [b"1"], closing=False)
        assert (await two.finish(two.lease, yours, [b"2"], closing=False)).outcome is Outcome.DONE
    assert await backend.messages(OUT) == [b"1"]


async def test_the_same_id_again_in_turn_is_not_served_again(backend, redis_settings):
    """By the claim: nobody has its group any more, and no lane is looked through."""
    for _ in range(2):
        await backend.push(IN, b'{"id": "x", "user_id": 1}')
    async with a_store(redis_settings) as store:
        (first,) = (await store.claim(1)).deliveries
        await store.finish(store.lease, first, [b"1"], closing=True)
        await backend.push(IN, first.raw)
        assert (await store.claim(5)).deliveries == []
    assert await backend.messages(OUT) == [b"1"]
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 0)


async def test_who_has_an_answer_does_not_hear_that_there_is_none(backend, redis_settings):
    """The same id in flight twice: one is answered, the other one fails for good."""
    for _ in range(2):
        await backend.push(IN, b'{"id": "x"}')
    async with a_store(redis_settings) as store:
        one, two = (await store.claim(2)).deliveries
        await store.finish(store.lease, one, [b"answer"], closing=False)
        gone = await store.fail(store.lease, two, Failure("broken", None, b"sorry"), closing=False)
        assert gone.outcome is Outcome.DEAD
    assert await backend.messages(OUT) == [b"answer"]


async def test_a_claim_of_large_messages_is_bounded(backend, redis_settings):
    for number in range(5):
        await backend.push(IN, json.dumps({"id": str(number), "text": "x" * 1024 * 1024}).encode())
    async with a_store(redis_settings) as store:
        assert len((await store.claim(64)).deliveries) == 4
        assert len((await store.claim(64)).deliveries) == 1


async def test_what_was_refused_is_not_served_when_it_comes_again(backend, redis_settings):
    raws = [message(number).model_dump_json().encode() for number in range(3)]
    for raw in raws:
        await backend.push(IN, raw)
    async with a_store(redis_settings, lane_cap=1) as store:
        claimed = await store.claim(5)
        assert [one.id for one in claimed.refused] == ["tg:2"]
        (first,) = claimed.deliveries
        second = (await store.finish(store.lease, first, [], closing=False)).next
        await store.finish(store.lease, second, [], closing=False)
        await backend.push(IN, raws[2])
        assert (await store.claim(5)).deliveries == []


async def test_marks_live_as_long_as_their_id_may_come_again(backend, redis_client):
    await backend.producer().enqueue(IN, message(1), offset=Offset("offset", 2))
    await backend.producer().enqueue(IN, message(2, user=2))
    async with consuming(
        backend.consumer(options(done_ttl=ConsumerOptions(IN, "").done_ttl), echo)
    ) as consumer:
        await until(lambda: consumer.stats.done == 2)
    seen, seen_without_offset, done = [
        await redis_client.ttl(f"{IN}:{mark}") for mark in ("seen:tg:1", "seen:tg:2", "done:tg:1")
    ]
    assert 3_000 < seen <= 3_600
    assert 86_000 < seen_without_offset <= 86_400
    assert 3_000 < done <= 3_600


async def test_the_dead_letters_of_one_user_can_be_dropped(backend, redis_client):
    async def handler(delivery: Delivery):
        raise Reject("no")

    await backend.producer().enqueue_many(IN, [(message(n, user=n % 2 + 1), None) for n in range(250)])
    await backend.push(IN, b"broken")
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: backend.depth(IN), lambda depth: depth.dead == 251)
        await until(lambda: consumer.stats.dead >= 250)
    assert await drop_user_dead_letters(redis_client, IN, 2) == 125
    assert await drop_user_dead_letters(redis_client, IN, 2) == 0
    letters = await backend.dead(IN)
    assert len(letters) == 126
    assert {json.loads(one.raw)["user_id"] for one in letters if one.raw != b"broken"} == {1}


async def test_retries_of_a_dead_replica_are_promoted_by_another(backend, redis_settings):
    await backend.producer().enqueue(IN, message(1))
    async with a_store(redis_settings, slot="a") as store:
        (delivery,) = (await store.claim(1)).deliveries
        await store.fail(store.lease, delivery, Failure("later", 0.3), closing=False)
    async with consuming(backend.consumer(options(slot="b"), echo)) as consumer:
        await until(lambda: consumer.stats.done == 1)


async def test_a_script_flush_is_survived(backend, redis_client):
    async def handler(delivery: Delivery):
        if int(delivery.id.removeprefix("tg:")) % 10 == 0:
            await redis_client.script_flush()
        return await echo(delivery)

    await backend.producer().enqueue_many(IN, [(message(n, user=n % 5), None) for n in range(100)])
    async with consuming(backend.consumer(options(concurrency=4), handler)) as consumer:
        await until(lambda: consumer.stats.done == 100)
        await redis_client.script_flush()
        assert await backend.producer().enqueue(IN, message(100))
        await until(lambda: consumer.stats.done == 101)
    assert len(set(await ids(backend))) == len(await ids(backend)) == 101


async def test_nothing_is_left_behind_but_markers_that_expire(backend, redis_client):
    async def handler(delivery: Delivery):
        if delivery.attempt == 0:
            raise RetryLater("once more")
        return await echo(delivery)

    await backend.producer().enqueue_many(IN, [(message(n, user=n % 3), None) for n in range(30)])
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 30)
    left = {key.decode() async for key in redis_client.scan_iter(f"{IN}*")}
    lasting = {key for key in left if await redis_client.ttl(key) < 0}
    assert lasting == {f"{IN}:serial"}
    assert {key.split(":")[2] for key in left - lasting} == {"done", "seen"}


async def test_a_key_of_a_wrong_type_buries_the_message_it_concerns(backend, redis_client):
    """Somebody's stray key must neither lose a message nor block the queue."""
    gate = asyncio.Event()

    async def handler(delivery: Delivery):
        await gate.wait()
        return await echo(delivery)

    await redis_client.set(f"{IN}:lane:1", "no list")
    await backend.producer().enqueue_many(IN, [(message(n), None) for n in (1, 2)])
    await backend.producer().enqueue(IN, message(3, user=2))
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.running == 2)
        (letter,) = await backend.dead(IN)
        assert letter.reason.startswith("cannot be queued: WRONGTYPE")
        assert json.loads(letter.raw)["id"] == "tg:2"
        await redis_client.delete(f"{IN}:lane:1")
        gate.set()
        await until(lambda: consumer.stats.done == 2)


async def test_an_out_queue_that_is_no_list_ends_the_consumer_and_loses_nothing(backend, redis_client):
    await redis_client.set(OUT, "no list")
    await backend.producer().enqueue(IN, message(1))
    with pytest.raises(ExceptionGroup) as caught:
        await backend.consumer(options(), echo).run(asyncio.Event())
    assert caught.group_contains(ResponseError, match="WRONGTYPE")
    await redis_client.delete(OUT)
    async with consuming(backend.consumer(options(), echo)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    assert await ids(backend) == ["tg:1:r0"]


async def test_an_error_of_the_queue_itself_ends_the_consumer(backend, redis_client):
    await redis_client.set(IN, "no list")
    with pytest.raises(ExceptionGroup) as caught:
        await backend.consumer(options(), echo).run(asyncio.Event())
    assert caught.group_contains(ResponseError, match="WRONGTYPE")


async def test_the_health_page_knows_the_queue(redis_settings, redis_client):
    health = Health("test")
    stop = asyncio.Event()
    consumer = RedisConsumer(redis_settings, options(), echo, health=health)
    task = asyncio.create_task(consumer.run(stop))
    await until(lambda: health.body().checks.get(IN) == "ok")
    stop.set()
    await task


def test_the_synchronous_producer_keeps_the_same_rules(redis_settings):
    with kit_redis.connect_sync(redis_settings) as client:
        client.flushdb()
        client.script_flush()
        producer = SyncProducer(client)
        assert producer.enqueue(IN, message(1))
        assert not producer.enqueue(IN, message(1))
        assert producer.enqueue(IN, message(2), front=True)
        waiting = [json.loads(raw)["id"] for raw in client.lrange(IN, 0, -1)]
        assert waiting == ["tg:2", "tg:1"]


async def test_enqueue_with_a_lost_answer_may_be_repeated(redis_client):
    producer = RedisProducer(redis_client)
    assert [await producer.enqueue(IN, message(1)) for _ in range(2)] == [True, False]
    assert await producer.waiting(IN) == 1
