"""The queue's contract: what producers, handlers and operators rely on."""

import asyncio
import json
from collections import defaultdict

import pytest
import structlog
from structlog.testing import capture_logs

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage, reply_id
from service_kit.queue.base import ConsumerOptions, Delivery, Depth, Offset, Reject, RetryLater
from service_kit.testing.queue import IN, OUT, RedisBackend, consuming, options, until

pytestmark = pytest.mark.integration


@pytest.fixture
def backend(redis_settings, redis_client):
    return RedisBackend(redis_settings, redis_client)


def message(number, user=1, **fields):
    return IncomingMessage(id=f"tg:{number}", user_id=user, chat_id=user, text=f"text {number}", **fields)


async def echo(delivery: Delivery):
    incoming = IncomingMessage.model_validate_json(delivery.raw)
    return [OutgoingMessage(id=reply_id(delivery.id), chat_id=incoming.chat_id, text=incoming.text)]


async def ids(backend: RedisBackend, queue=OUT):
    return [json.loads(raw)["id"] for raw in await backend.messages(queue)]


async def test_a_message_is_served_and_answered_once(backend):
    producer = backend.producer()
    assert await producer.enqueue(IN, message(1))
    async with consuming(backend.consumer(options(), echo)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    assert await ids(backend) == ["tg:1:r0"]
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 0)


async def test_it_is_known_what_is_settled(backend):
    async def only_the_first(delivery):
        if delivery.id != "tg:1":
            raise Reject("not this one")
        return await echo(delivery)

    producer = backend.producer()
    for number in (1, 2):
        await producer.enqueue(IN, message(number))
    wanted = ["tg:1", "tg:2", "tg:3"]
    assert await producer.find_settled(IN, wanted) == [False, False, False]
    async with consuming(backend.consumer(options(), only_the_first)) as consumer:
        await until(lambda: consumer.stats.done == 1 and consumer.stats.dead == 1)
    assert await producer.find_settled(IN, wanted) == [True, True, False]
    assert await producer.find_settled(IN, []) == []


async def test_a_repeated_id_is_not_stored_again_but_its_offset_is(backend):
    producer = backend.producer()
    assert await producer.enqueue(IN, message(1), offset=Offset("offset", 2))
    assert not await producer.enqueue(IN, message(1), offset=Offset("offset", 3))
    assert await producer.waiting(IN) == 1
    assert await producer.load_offset("offset") == 3


async def test_a_batch_keeps_its_order_and_drops_repeats(backend):
    producer = backend.producer()
    batch = [(message(n), Offset("offset", n)) for n in (1, 2, 1, 3)]
    assert await producer.enqueue_many(IN, batch) == [True, True, False, True]
    assert await ids(backend, IN) == ["tg:1", "tg:2", "tg:3"]
    assert await producer.load_offset("offset") == 3
    assert await producer.enqueue_many(IN, []) == []


async def test_offsets_start_as_none(backend):
    producer = backend.producer()
    assert await producer.load_offset("offset") is None
    await producer.store_offset(Offset("offset", 7))
    assert await producer.load_offset("offset") == 7


async def test_priority_enters_at_the_head(backend):
    producer = backend.producer()
    for n in (1, 2):
        await producer.enqueue(IN, message(n, user=n))
    await producer.enqueue(IN, message(3, user=3), front=True)
    assert await ids(backend, IN) == ["tg:3", "tg:1", "tg:2"]


async def test_order_is_kept_per_group_with_several_consumers(backend):
    producer = backend.producer()
    started = defaultdict(list)
    running = set()

    async def handler(delivery: Delivery):
        assert delivery.group not in running
        running.add(delivery.group)
        started[delivery.group].append(int(delivery.id.removeprefix("tg:")))
        await asyncio.sleep(0)
        running.discard(delivery.group)
        return await echo(delivery)

    consumers = [backend.consumer(options(slot=f"slot-{n}", concurrency=8), handler) for n in range(3)]
    async with consuming(*consumers):
        await producer.enqueue_many(IN, [(message(n, user=n % 7), None) for n in range(300)])
        await until(lambda: sum(consumer.stats.done for consumer in consumers) == 300)
    assert all(numbers == sorted(numbers) for numbers in started.values())
    assert len(set(await ids(backend))) == len(await ids(backend)) == 300


async def test_groups_run_side_by_side(backend):
    together = asyncio.Barrier(20)

    async def handler(delivery: Delivery):
        await together.wait()
        return []

    producer = backend.producer()
    await producer.enqueue_many(IN, [(message(n, user=n), None) for n in range(20)])
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 20)


async def test_concurrency_is_bounded_and_the_rest_waits_in_the_queue(backend):
    gate = asyncio.Event()

    async def handler(delivery: Delivery):
        await gate.wait()
        return []

    producer = backend.producer()
    await producer.enqueue_many(IN, [(message(n, user=n), None) for n in range(5)])
    async with consuming(backend.consumer(options(concurrency=2), handler)) as consumer:
        await until(lambda: consumer.stats.running == 2)
        assert await producer.waiting(IN) == 3
        gate.set()
        await until(lambda: consumer.stats.done == 5)


async def test_one_chatty_user_blocks_nobody(backend):
    gate = asyncio.Event()

    async def handler(delivery: Delivery):
        if delivery.group == "1":
            await gate.wait()
        return await echo(delivery)

    producer = backend.producer()
    await producer.enqueue_many(IN, [(message(n, user=1), None) for n in range(10)])
    await producer.enqueue(IN, message(99, user=2))
    async with consuming(backend.consumer(options(concurrency=2), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
        assert await ids(backend) == ["tg:99:r0"]
        assert (await backend.depth(IN)).lanes == 9
        gate.set()
        await until(lambda: consumer.stats.done == 11)


async def test_a_retry_comes_before_what_the_same_user_sent_later(backend):
    served = []

    async def handler(delivery: Delivery):
        served.append((delivery.id, delivery.attempt))
        if delivery.id == "tg:1" and delivery.attempt < 2:
            raise RetryLater("not yet", delay=0.01)
        return await echo(delivery)

    producer = backend.producer()
    await producer.enqueue_many(IN, [(message(n), None) for n in (1, 2, 3)])
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 3)
    assert served == [("tg:1", 0), ("tg:1", 1), ("tg:1", 2), ("tg:2", 0), ("tg:3", 0)]
    assert consumer.stats.retried == 2


async def test_what_comes_while_a_retry_is_pending_waits_for_it(backend):
    async def handler(delivery: Delivery):
        if delivery.id == "tg:1" and delivery.attempt == 0:
            raise RetryLater("later", delay=0.1)
        return await echo(delivery)

    producer = backend.producer()
    await producer.enqueue(IN, message(1))
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.retried == 1)
        await producer.enqueue_many(IN, [(message(2), None), (message(3, user=2), None)])
        await until(lambda: consumer.stats.done == 3)
    answered = await ids(backend)
    assert answered.index("tg:1:r0") < answered.index("tg:2:r0")


async def test_the_last_failure_makes_a_dead_letter_and_tells_the_user(backend):
    async def handler(delivery: Delivery):
        raise ValueError("the model is on fire")

    def notice(delivery: Delivery):
        return OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="Sorry")

    await backend.producer().enqueue(IN, message(1))
    consumer = backend.consumer(options(max_attempts=3), handler, failure_notice=notice)
    async with consuming(consumer):
        await until(lambda: consumer.stats.dead == 1)
    (letter,) = await backend.dead(IN)
    assert letter.reason == "ValueError"
    assert letter.attempts == 3
    assert json.loads(letter.raw)["id"] == "tg:1"
    assert await ids(backend) == ["tg:1:r0"]
    assert consumer.stats.retried == 2


async def test_a_message_that_waits_for_a_service_uses_up_no_attempts(backend):
    attempts = []

    async def handler(delivery: Delivery):
        attempts.append(delivery.attempt)
        if len(attempts) == 4:
            raise ValueError
        if len(attempts) < 8:
            raise RetryLater("rest_service is away", delay=0)
        return await echo(delivery)

    await backend.producer().enqueue_many(IN, [(message(n), None) for n in (1, 2)])
    async with consuming(backend.consumer(options(max_attempts=2, longest_wait=60), handler)) as consumer:
        await until(lambda: consumer.stats.done == 2)
    assert attempts == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert await ids(backend) == ["tg:1:r0", "tg:2:r0"]


async def test_a_message_does_not_wait_for_ever_and_its_user_is_told(backend):
    async def handler(delivery: Delivery):
        raise RetryLater("rest_service is away", delay=0)

    def notice(delivery: Delivery):
        return OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="Sorry")

    await backend.producer().enqueue(IN, message(1))
    consumer = backend.consumer(options(longest_wait=0.2), handler, failure_notice=notice)
    async with consuming(consumer):
        await until(lambda: consumer.stats.dead == 1)
    assert consumer.stats.retried >= 1
    (letter,) = await backend.dead(IN)
    assert letter.reason.endswith("rest_service is away")
    assert await ids(backend) == ["tg:1:r0"]


async def test_each_failure_is_one_line_that_names_the_conversation(backend):
    async def handler(delivery: Delivery):
        raise RetryLater("away", delay=0) if delivery.attempt == 0 else Reject("no")

    await backend.producer().enqueue(IN, message(1, correlation_id="tg:0"))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        async with consuming(backend.consumer(options(), handler)) as consumer:
            await until(lambda: consumer.stats.dead == 1)
    about = [(line["event"], line["correlation_id"]) for line in logged if "message_id" in line]
    assert about == [("delivery_retried", "tg:0"), ("delivery_dead_lettered", "tg:0")]


async def test_a_rejected_message_is_a_dead_letter_at_once_and_the_next_one_goes_on(backend):
    async def handler(delivery: Delivery):
        if delivery.id == "tg:1":
            raise Reject("nobody knows this user")
        return await echo(delivery)

    await backend.producer().enqueue_many(IN, [(message(1), None), (message(2), None)])
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    (letter,) = await backend.dead(IN)
    assert (letter.reason, letter.attempts) == ("nobody knows this user", 1)
    assert await ids(backend) == ["tg:2:r0"]


async def test_a_handler_that_hangs_is_stopped_and_retried(backend):
    async def handler(delivery: Delivery):
        if delivery.attempt == 0:
            await asyncio.Event().wait()
        return await echo(delivery)

    await backend.producer().enqueue(IN, message(1))
    async with consuming(backend.consumer(options(handler_timeout=0.05), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    assert consumer.stats.retried == 1


async def test_a_cancellation_from_within_the_handler_is_a_failure_like_any_other(backend):
    async def handler(delivery: Delivery):
        if delivery.attempt == 0:
            raise asyncio.CancelledError
        return await echo(delivery)

    await backend.producer().enqueue(IN, message(1))
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    assert consumer.stats.retried == 1


async def test_a_failing_failure_notice_does_not_keep_the_dead_letter_away(backend):
    async def handler(delivery: Delivery):
        raise Reject("no")

    def notice(delivery: Delivery):
        raise KeyError("chat_id")

    await backend.producer().enqueue(IN, message(1))
    async with consuming(backend.consumer(options(), handler, failure_notice=notice)) as consumer:
        await until(lambda: consumer.stats.dead == 1)
    assert await backend.messages(OUT) == []


async def test_replies_without_an_out_queue_are_a_mistake_that_is_seen(backend):
    await backend.producer().enqueue(IN, message(1))
    async with consuming(backend.consumer(options(out_queue=None), echo)) as consumer:
        await until(lambda: consumer.stats.dead == 1)
    (letter,) = await backend.dead(IN)
    assert "no out queue" in letter.reason


async def test_the_same_id_twice_is_served_and_answered_once(backend):
    served = []

    async def handler(delivery: Delivery):
        served.append(delivery.id)
        return await echo(delivery)

    raw = message(1).model_dump_json().encode()
    for _ in range(3):
        await backend.push(IN, raw)
    await backend.push(IN, message(2).model_dump_json().encode())
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 2)
        await until(lambda: consumer.stats.running == 0)
    assert served == ["tg:1", "tg:2"]
    assert await ids(backend) == ["tg:1:r0", "tg:2:r0"]
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 0)


POISON = {
    "broken": b'{"id": "x"',
    "array": b'[{"id": "x"}]',
    "number": b"42",
    "text": b'"hello"',
    "null": b"null",
    "empty": b"",
    "bytes": b"\xff\xfe\x00\x80",
    "trailing": b'{"id": "x"} {"id": "y"}',
    "deep": b'{"id": "x", "user_id": 1, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("kind", POISON)
async def test_what_is_no_message_is_a_dead_letter_and_the_queue_goes_on(backend, kind):
    await backend.push(IN, POISON[kind])
    await backend.producer().enqueue(IN, message(1))
    async with consuming(backend.consumer(options(), echo)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    (letter,) = await backend.dead(IN)
    assert letter.reason.startswith("poison: ")
    assert letter.raw == POISON[kind]


ODD = {
    "null id": (b'{"id": null, "user_id": 1}', "", "1"),
    "empty id": (b'{"id": "", "user_id": 1}', "", "1"),
    "number id": (b'{"id": 17, "user_id": 1}', "17", "1"),
    "id beyond doubles": (b'{"id": 9007199254740993, "user_id": 1}', "", "1"),
    "object id": (b'{"id": {}, "user_id": 1}', "", "1"),
    "true id": (b'{"id": true, "user_id": 1}', "", "1"),
    "user as text": (b'{"id": "a", "user_id": "1"}', "a", "1"),
    "user as float": (b'{"id": "a", "user_id": 1.0}', "a", "1"),
    "fraction": (b'{"id": "a", "user_id": 1.5}', "a", "1.5"),
    "negative": (b'{"id": "a", "user_id": -1001234567890}', "a", "-1001234567890"),
    "null user": (b'{"id": "a", "user_id": null, "chat_id": 5}', "a", "5"),
    "empty user": (b'{"id": "a", "user_id": "", "chat_id": 5}', "a", "5"),
    "object user": (b'{"id": "a", "user_id": {}, "chat_id": 5}', "a", "5"),
    "NaN user": (b'{"id": "a", "user_id": NaN, "chat_id": 5}', "a", "5"),
    "no group": (b'{"id": "a"}', "a", ""),
    "no fields": (b"{}", "", ""),
    "duplicate keys": (b'{"id": "a", "id": "b", "user_id": 1, "user_id": 2}', "b", "2"),
    "spaces": (b' \n\t{"id": "a", "user_id": 1}\n', "a", "1"),
    "separators": (b'{"id": "a:b\\u001f\\n", "user_id": "1\\u001f:2"}', "a:b\x1f\n", "1\x1f:2"),
    "Cyrillic": ('{"id": "ж", "user_id": "Аня"}'.encode(), "ж", "Аня"),
    "not UTF-8": (b'{"id": "\xff", "user_id": "\xfe"}', "\udcff", "\udcfe"),
    "zero byte": (b'{"id": "a\\u0000b", "user_id": "\\u0000"}', "a\0b", "\0"),
    "long id": (
        b'{"id": "%s", "user_id": 1}' % (b"x" * 300),
        "sha1:e694eaaa07d2ad9bf8fe8c9d26a9b3b6c3f2fb11",
        "1",
    ),
    "a megabyte": (b'{"id": "a", "user_id": 1, "text": "%s"}' % (b"x" * 1_000_000), "a", "1"),
}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_messages_are_delivered_byte_for_byte_and_survive_a_retry(backend, kind):
    raw, id_, group = ODD[kind]
    deliveries = []

    async def handler(delivery: Delivery):
        deliveries.append(delivery)
        if delivery.attempt == 0:
            raise RetryLater("once more", delay=0)
        return []

    await backend.push(IN, raw)
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    if kind == "long id":
        assert all(one.id.startswith("sha1:") and len(one.id) == 45 for one in deliveries)
        deliveries = [Delivery(one.raw, id_, one.group, one.attempt) for one in deliveries]
    assert deliveries == [Delivery(raw, id_, group, 0), Delivery(raw, id_, group, 1)]
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 0)


async def test_equal_messages_without_id_are_all_retried(backend):
    tries = []

    async def handler(delivery: Delivery):
        tries.append(delivery)
        if len(tries) <= 3:
            raise RetryLater("once more", delay=0.02)
        return []

    for _ in range(3):
        await backend.push(IN, b'{"text": "hi"}')
    async with consuming(backend.consumer(options(max_attempts=10), handler)) as consumer:
        await until(lambda: consumer.stats.done == 3)
    assert len(tries) == 6


async def test_a_flood_of_one_user_is_capped_with_one_notice(backend):
    gate = asyncio.Event()

    async def handler(delivery: Delivery):
        await gate.wait()
        return await echo(delivery)

    def notice(delivery: Delivery):
        return OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="Please wait")

    await backend.producer().enqueue_many(IN, [(message(n), None) for n in range(10)])
    consumer = backend.consumer(options(lane_cap=4), handler, failure_notice=notice)
    async with consuming(consumer):
        await until(lambda: backend.messages(OUT), lambda sent: len(sent) == 1)
        assert (await backend.depth(IN)).lanes == 4
        gate.set()
        await until(lambda: consumer.stats.done == 5)
    assert await ids(backend) == [f"tg:{n}:r0" for n in (5, 0, 1, 2, 3, 4)]
    assert [json.loads(one.raw)["id"] for one in await backend.dead(IN)] == [f"tg:{n}" for n in range(5, 10)]


async def test_a_stop_lets_running_work_end_and_leaves_the_rest_in_order(backend):
    gate = asyncio.Event()

    async def handler(delivery: Delivery):
        await gate.wait()
        return await echo(delivery)

    await backend.producer().enqueue_many(IN, [(message(n), None) for n in range(4)])
    consumer = backend.consumer(options(), handler)
    async with consuming(consumer) as consumer:
        await until(lambda: backend.depth(IN), lambda depth: depth.lanes == 3)
        asyncio.get_running_loop().call_later(0.05, gate.set)
    assert await ids(backend) == ["tg:0:r0"]
    assert await ids(backend, IN) == ["tg:1", "tg:2", "tg:3"]
    assert await backend.depth(IN) == Depth(3, 0, 0, 0, 0)


async def test_a_stop_gives_back_what_does_not_end_in_time(backend):
    async def handler(delivery: Delivery):
        await asyncio.Event().wait()
        return []

    await backend.producer().enqueue_many(IN, [(message(n, user=n // 2), None) for n in range(4)])
    async with consuming(backend.consumer(options(drain_timeout=0.05), handler)) as consumer:
        await until(lambda: consumer.stats.running == 2)
        await until(lambda: backend.depth(IN), lambda depth: depth.lanes == 2)
    assert await ids(backend, IN) == ["tg:0", "tg:1", "tg:2", "tg:3"]
    assert await backend.depth(IN) == Depth(4, 0, 0, 0, 0)


async def test_an_idle_consumer_does_not_wait_for_a_message_before_it_stops(backend):
    block = 600.0
    async with asyncio.timeout(block / 2), consuming(backend.consumer(options(block=block), echo)):
        pass


async def test_what_is_behind_a_delayed_message_waits_for_it_over_a_restart(backend):
    async def failing(delivery: Delivery):
        raise RetryLater("later", delay=0.1)

    await backend.producer().enqueue_many(IN, [(message(n), None) for n in (1, 2)])
    async with consuming(backend.consumer(options(), failing)) as consumer:
        await until(lambda: consumer.stats.retried == 1)
    async with consuming(backend.consumer(options(), echo)) as consumer:
        await until(lambda: consumer.stats.done == 2)
    assert await ids(backend) == ["tg:1:r0", "tg:2:r0"]


def test_options_have_sane_defaults():
    defaults = ConsumerOptions(queue=IN, slot="slot")
    assert defaults.heartbeat_ttl / 3 > defaults.block
