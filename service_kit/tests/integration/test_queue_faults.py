"""Nothing is lost, nothing answered twice, each user's order kept: under kills, cut lines and restarts."""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import sysconfig
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ops.embedded import find_binaries, valkey_command, write_valkey_config
from service_kit import redis as kit_redis
from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.health import Health
from service_kit.lifecycle import end_tasks
from service_kit.queue.base import Delivery, Depth
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.queue.redis_store import RedisStore
from service_kit.queue.results import Outcome, QueueUnavailableError
from service_kit.settings import RedisSettings
from service_kit.testing.faulty_line import FaultyLine
from service_kit.testing.queue import IN, OUT, RedisBackend, consuming, options, until
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration

USERS = 10


def message(number):
    user = number % USERS + 1
    return IncomingMessage(id=f"tg:{number}", user_id=user, chat_id=user, text="hello")


async def answer(delivery: Delivery):
    await asyncio.sleep(0)
    return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=int(delivery.group), text="answer")]


async def assert_each_answered_once_in_order(client, count):
    replies = [json.loads(raw) for raw in await client.lrange(OUT, 0, -1)]
    numbers = defaultdict(list)
    for reply in replies:
        numbers[reply["chat_id"]].append(int(reply["id"].split(":")[1]))
    assert sorted(itertools.chain(*numbers.values())) == list(range(count))
    assert all(of_user == sorted(of_user) for of_user in numbers.values())


def through(line: FaultyLine, settings: RedisSettings) -> RedisSettings:
    return settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})


@asynccontextmanager
async def a_victim(settings: RedisSettings, slot: str):
    env = os.environ | {
        "REDIS_HOST": settings.redis_host,
        "REDIS_PORT": str(settings.redis_port),
        "REDIS_DB": str(settings.redis_db),
        "REDIS_PASSWORD": settings.redis_password.get_secret_value() if settings.redis_password else "",
    }
    command = (sys.executable, "-m", "service_kit.tests.integration.queue_victim", slot)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=Path(__file__).parents[3],
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kill_minus_nine_loses_and_doubles_nothing(redis_settings, redis_client):
    """A process is killed three times in the midst of its work; a replica of another slot lives on."""
    producer = RedisProducer(redis_client)
    interrupted = 0
    async with consuming(RedisConsumer(redis_settings, options(slot="replica", concurrency=2), answer)):
        for kill in range(3):
            async with a_victim(redis_settings, "victim") as victim:
                await until(lambda: redis_client.scard(f"{IN}:consumers"), lambda lives: lives >= 2)
                batch = [(message(n), None) for n in range(kill * 200, kill * 200 + 200)]
                await producer.enqueue_many(IN, batch)
                await until(lambda: redis_client.keys(f"{IN}:processing:victim~*"))
                victim.kill()
                await victim.wait()
                interrupted += len(await redis_client.keys(f"{IN}:processing:victim~*"))
            await until(lambda: redis_client.scard(f"{IN}:consumers"), lambda lives: lives == 1)
        await until(lambda: redis_client.llen(OUT), lambda answers: answers == 600)
    assert interrupted
    await assert_each_answered_once_in_order(redis_client, 600)
    assert await RedisBackend(redis_settings, redis_client).depth(IN) == Depth(0, 0, 0, 0, 0)


async def test_a_terminated_process_drains_and_leaves_nothing_behind(redis_settings, redis_client):
    await RedisProducer(redis_client).enqueue_many(IN, [(message(n), None) for n in range(200)])
    async with a_victim(redis_settings, "victim") as victim:
        await until(lambda: redis_client.llen(OUT), bool)
        victim.send_signal(signal.SIGTERM)
        assert await victim.wait() == 0
    assert await redis_client.keys(f"{IN}:processing:*") == []
    assert await redis_client.keys(f"{IN}:lane:*") == []
    async with consuming(RedisConsumer(redis_settings, options(), answer)):
        await until(lambda: redis_client.llen(OUT), lambda answers: answers == 200)
    await assert_each_answered_once_in_order(redis_client, 200)


@pytest.mark.parametrize("seed", range(4))
async def test_cut_lines_and_lost_answers_lose_and_double_nothing(redis_settings, redis_client, seed):
    """Every kind of call loses its answer now and then: claim, finish, wait, heartbeat."""
    chance = random.Random(seed)
    producer = RedisProducer(redis_client)
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        consumers = [
            RedisConsumer(through(line, redis_settings), options(slot=f"slot-{n}", concurrency=5), answer)
            for n in range(2)
        ]
        async with consuming(*consumers):
            for first in range(0, 200, 20):
                await producer.enqueue_many(IN, [(message(n), None) for n in range(first, first + 20)])
                await asyncio.sleep(chance.uniform(0, 0.02))
                line.lose_answers()
                await asyncio.sleep(chance.uniform(0, 0.005))
                line.cut()
            await until(lambda: redis_client.llen(OUT), lambda answers: answers >= 200)
            await until(lambda: sum(consumer.stats.running for consumer in consumers) == 0)
    await assert_each_answered_once_in_order(redis_client, 200)
    assert await RedisBackend(redis_settings, redis_client).depth(IN) == Depth(0, 0, 0, 0, 0)


@asynccontextmanager
async def a_store_behind_a_line(settings):
    async with FaultyLine(settings.redis_host, settings.redis_port) as line:
        store = RedisStore(through(line, settings), options())
        work = asyncio.create_task(store.run())
        try:
            await store.join(replace=True)
            yield store, line
        finally:
            await end_tasks({work})
            await store.close()


async def test_what_a_claim_took_whose_answer_was_lost_is_recovered(redis_settings, redis_client):
    await RedisProducer(redis_client).enqueue(IN, message(0))
    async with a_store_behind_a_line(redis_settings) as (store, line):
        line.lose_answers()
        claim = asyncio.create_task(store.claim(1))
        await until(lambda: redis_client.llen(IN), lambda waiting: waiting == 0)
        line.cut()
        with pytest.raises(QueueUnavailableError):
            await claim
        assert await store.wait()
        recovered = await store.claim(1)
        assert recovered.recovered
        assert [delivery.id for delivery in recovered.deliveries] == ["tg:0"]
        store._in_doubt = True  # as after any other lost answer: what runs is not started again
        assert (await store.claim(1)).deliveries == []


async def test_a_finish_whose_answer_was_lost_publishes_once_and_goes_on(redis_settings, redis_client):
    await RedisProducer(redis_client).enqueue_many(IN, [(message(n), None) for n in (0, USERS)])
    async with a_store_behind_a_line(redis_settings) as (store, line):
        (delivery,) = (await store.claim(2)).deliveries
        line.lose_answers()
        finish = asyncio.create_task(store.finish(store.lease, delivery, [b"{}"], closing=False))
        await until(lambda: redis_client.llen(OUT))
        line.cut()
        settled = await finish
        assert (settled.outcome, settled.next) == (Outcome.DONE, None)
        recovered = await store.claim(2)
        assert [delivery.id for delivery in recovered.deliveries] == [f"tg:{USERS}"]
    assert await redis_client.llen(OUT) == 1


async def test_a_consumer_waits_for_redis_at_its_start_and_says_so(redis_settings, redis_client):
    line = FaultyLine(redis_settings.redis_host, redis_settings.redis_port)
    await line.open()
    await line.close()
    health = Health("test")
    consumer = RedisConsumer(through(line, redis_settings), options(), answer, health=health)
    async with consuming(consumer):
        await until(lambda: health.body().checks.get(IN, "").startswith("not reachable"))
        assert not health.ready
        await line.open()
        await RedisProducer(redis_client).enqueue(IN, message(0))
        await until(lambda: consumer.stats.done == 1)
        await until(lambda: health.ready)
        await line.close()
        await until(lambda: not health.ready)


async def test_a_consumer_that_never_reached_redis_can_be_stopped(redis_settings):
    line = FaultyLine("127.0.0.1", free_port())
    await line.open()
    await line.close()
    async with asyncio.timeout(5), consuming(RedisConsumer(through(line, redis_settings), options(), answer)):
        pass


async def test_a_stop_while_redis_is_away_ends_too(redis_settings, redis_client):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        consumer = RedisConsumer(through(line, redis_settings), options(drain_timeout=0.2), answer)
        async with consuming(consumer):
            await RedisProducer(redis_client).enqueue(IN, message(0))
            await until(lambda: consumer.stats.done == 1)
            await line.close()


@pytest.mark.parametrize("seed", range(2))
async def test_a_consumer_cancelled_at_any_moment_really_ends(redis_settings, redis_client, seed):
    """Python 3.11 loses cancellations in redis-py's calls; the consumer must not live on."""
    chance = random.Random(seed)
    await RedisProducer(redis_client).enqueue_many(IN, [(message(n), None) for n in range(100)])
    for _ in range(15):
        task = asyncio.create_task(RedisConsumer(redis_settings, options(), answer).run(asyncio.Event()))
        await asyncio.sleep(chance.uniform(0, 0.03))
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done
        assert task.cancelled()
    async with consuming(RedisConsumer(redis_settings, options(), answer)):
        await until(lambda: redis_client.llen(OUT), lambda answers: answers == 100)
    await assert_each_answered_once_in_order(redis_client, 100)


@asynccontextmanager
async def an_own_valkey(config: Path):
    binaries = find_binaries(Path(sysconfig.get_paths()["purelib"]))
    process = await asyncio.create_subprocess_exec(
        *valkey_command(binaries.valkey_server, config), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kill_minus_nine_of_redis_loses_and_doubles_nothing(tmp_path):
    settings = RedisSettings(redis_host="127.0.0.1", redis_port=free_port(), redis_password="secret")
    config = tmp_path / "valkey.conf"
    write_valkey_config(config, tmp_path / "data", settings.redis_port, "secret")
    async with an_own_valkey(config) as valkey, kit_redis.connect(settings) as client:
        await until(lambda: _answers(client))
        await RedisProducer(client).enqueue_many(IN, [(message(n), None) for n in range(500)])
        consumer = RedisConsumer(settings, options(concurrency=8), answer)
        async with consuming(consumer):
            await until(lambda: consumer.stats.done > 50)
            valkey.kill()
            await valkey.wait()
            async with an_own_valkey(config):
                await until(lambda: _answers(client))
                await until(lambda: client.llen(OUT), lambda answers: answers == 500)
                await until(lambda: consumer.stats.running == 0)
                await assert_each_answered_once_in_order(client, 500)
                consumer_left = await RedisBackend(settings, client).depth(IN)
                assert consumer_left == Depth(0, 0, 0, 0, 0)


async def _answers(client):
    try:
        return await client.ping()
    except kit_redis.RETRYABLE:
        return False
