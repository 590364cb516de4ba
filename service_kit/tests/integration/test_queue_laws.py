"""The queue's law, under any interleaving of producers, replicas, failures and deaths.

Hypothesis chooses the steps; each user's replies must come out once each and in order, and no message
may be anywhere else at the end.
"""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service_kit import redis as kit_redis
from service_kit.contracts.messages import IncomingMessage
from service_kit.lifecycle import end_tasks
from service_kit.queue.base import Delivery, Depth
from service_kit.queue.producer import RedisProducer
from service_kit.queue.redis_store import RedisStore
from service_kit.queue.results import Failure, Lease, LeaseLostError
from service_kit.testing.queue import IN, OUT, RedisBackend, options

pytestmark = pytest.mark.integration

REPLICAS, USERS = 3, 2

replica = st.integers(0, REPLICAS - 1)
nth = st.integers(0, 3)
say = st.tuples(st.just("say"), st.integers(1, USERS), st.sampled_from([False, False, False, True]))
step = st.one_of(
    say,
    say,
    st.tuples(st.just("claim"), replica, st.integers(1, 3)),
    st.tuples(st.just("finish"), replica, nth),
    st.tuples(st.just("claim"), replica, st.integers(1, 3)),
    st.tuples(st.just("finish"), replica, nth),
    st.tuples(st.just("finish_closing"), replica, nth),
    st.tuples(st.just("fail"), replica, nth),
    st.tuples(st.just("promote"), replica, st.none()),
    st.tuples(st.just("die"), replica, st.none()),
    st.tuples(st.just("freeze"), replica, replica),
    st.tuples(st.just("leave"), replica, st.none()),
)


@dataclass
class Replica:
    """A consumer whose every step is the test's."""

    store: RedisStore
    work: asyncio.Task[None]
    held: list[tuple[Lease, Delivery]] = field(default_factory=list)

    def take(self, number):
        return self.held.pop(number % len(self.held)) if self.held else None


class World:
    """Three replicas, one producer."""

    def __init__(self, redis_settings, client):
        self._settings = redis_settings
        self._client = client
        self._producer = RedisProducer(client)
        self._said = 0
        self.replicas: list[Replica] = []

    async def begin(self):
        await self._client.flushdb()
        self.replicas = [await self._new(number) for number in range(REPLICAS)]

    async def end(self):
        for one in self.replicas:
            await self._close(one)

    async def _new(self, number):
        chosen = options(slot=f"slot-{number}", max_attempts=10_000, max_crashes=10_000)
        store = RedisStore(self._settings, chosen)
        work = asyncio.create_task(store.run())
        await store.join(replace=True)
        return Replica(store, work)

    async def _close(self, one):
        await end_tasks({one.work})
        await one.store.close()

    async def say(self, user, repeated):
        if not repeated:
            self._said += 1
        text = f"{self._said}"
        message = IncomingMessage(id=f"tg:{user}:{text}", user_id=user, chat_id=user, text=text)
        if repeated:  # a producer of another make, without dedupe
            await self._client.rpush(IN, message.model_dump_json())
        await self._producer.enqueue(IN, message)

    async def claim(self, number, slots):
        one = self.replicas[number]
        try:
            claimed = await one.store.claim(slots)
        except LeaseLostError:
            await one.store.join(replace=False)
            return
        one.held += [(claimed.lease, delivery) for delivery in claimed.deliveries]

    async def finish(self, number, which, *, closing=False):
        one = self.replicas[number]
        if taken := one.take(which):
            lease, delivery = taken
            settled = await one.store.finish(lease, delivery, [delivery.raw], closing=closing)
            if settled.next:
                one.held.append((lease, settled.next))

    async def finish_closing(self, number, which):
        await self.finish(number, which, closing=True)

    async def fail(self, number, which):
        one = self.replicas[number]
        if taken := one.take(which):
            await one.store.fail(*taken, Failure("again", 0.0), closing=False)

    async def promote(self, number, _):
        await self.replicas[number].store.promote()

    async def die(self, number, _):
        """Killed; the next process of its slot takes over."""
        await self._close(self.replicas[number])
        self.replicas[number] = await self._new(number)

    async def freeze(self, number, other):
        """Stands still until another one takes it for dead; then goes on as if nothing had been."""
        await self._client.delete(f"{IN}:hb:{self.replicas[number].store.lease.id}")
        await self.replicas[other].store.reap()

    async def leave(self, number, _):
        one = self.replicas[number]
        await one.store.leave()
        await self._close(one)
        self.replicas[number] = await self._new(number)

    async def drain(self):
        """Everything that is left is served."""
        for number in range(REPLICAS):
            await self.leave(number, None)
        while True:
            await self.promote(0, None)
            await self.claim(0, 10)
            if not self.replicas[0].held:
                return
            while self.replicas[0].held:
                await self.finish(0, 0)


async def play(redis_settings, steps):
    async with kit_redis.connect(redis_settings) as client:
        world = World(redis_settings, client)
        await world.begin()
        try:
            for name, *arguments in steps:
                await getattr(world, name)(*arguments)
            await world.drain()
        finally:
            await world.end()
        replies = defaultdict(list)
        for raw in await client.lrange(OUT, 0, -1):
            message = json.loads(raw)
            replies[message["user_id"]].append(int(message["text"]))
        said = {
            tuple(key.decode().split(":")[-2:]) async for key in client.scan_iter(f"{IN}:seen:*", count=1000)
        }
        expected = defaultdict(list)
        for user, text in said:
            expected[int(user)].append(int(text))
        assert replies == {user: sorted(numbers) for user, numbers in expected.items()}
        assert await RedisBackend(redis_settings, client).depth(IN) == Depth(0, 0, 0, 0, 0)


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # each example talks to Redis: shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(step, min_size=40, max_size=80))
def test_each_message_is_answered_once_and_in_order(redis_settings, steps):
    asyncio.run(play(redis_settings, steps))
