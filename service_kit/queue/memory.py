"""The queue in memory, for the unit tests of services: the same interface, consumer and contract tests.

broker = MemoryBroker()
await broker.producer().enqueue("queue:in", message)
await broker.consumer(options, handler).run(stop)
assert broker.messages("queue:out") == [...]
"""

from collections import defaultdict
from collections.abc import Sequence

from pydantic import BaseModel

from service_kit.health import Health
from service_kit.queue.base import ConsumerOptions, Depth, FailureNotice, Handler, Offset
from service_kit.queue.consumer import StoreConsumer
from service_kit.queue.dead_letters import DeadLetter
from service_kit.queue.envelope import encode, id_of
from service_kit.queue.memory_store import MemoryQueue, MemoryStore


class MemoryBroker:
    """All queues and offsets of one test."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, MemoryQueue] = defaultdict(MemoryQueue)
        self._offsets: dict[str, int] = {}

    def producer(self) -> "MemoryProducer":
        """A producer for any queue."""
        return MemoryProducer(self._queues, self._offsets)

    def consumer(
        self,
        options: ConsumerOptions,
        handler: Handler,
        *,
        failure_notice: FailureNotice | None = None,
        health: Health | None = None,
    ) -> StoreConsumer:
        """A consumer of `options.queue`; takes the same arguments as `RedisConsumer` but the address."""
        out_queue = self._queues[options.out_queue] if options.out_queue else None
        store = MemoryStore(self._queues[options.queue], out_queue, options)
        return StoreConsumer(store, options, handler, failure_notice=failure_notice, health=health)

    def push(self, queue: str, raw: bytes) -> None:
        """Put bytes at the tail, as a foreign producer would."""
        self._queues[queue].push(raw)

    def messages(self, queue: str) -> list[bytes]:
        """The ready list, head first."""
        return list(self._queues[queue].ready)

    def dead(self, queue: str) -> list[DeadLetter]:
        """The dead letters, oldest first."""
        return list(self._queues[queue].dead)

    def depth(self, queue: str) -> Depth:
        """How many messages stand where."""
        return self._queues[queue].depth()


class MemoryProducer:
    """Implements `base.Producer`."""

    def __init__(self, queues: defaultdict[str, MemoryQueue], offsets: dict[str, int]) -> None:
        self._queues = queues
        self._offsets = offsets

    async def enqueue(
        self, queue: str, message: BaseModel, *, offset: Offset | None = None, front: bool = False
    ) -> bool:
        """Put `message` at the tail (or head) of `queue`, once per `message.id`; False for a repeat."""
        if offset:
            await self.store_offset(offset)
        places, message_id = self._queues[queue], id_of(message)
        if message_id and message_id in places.seen:
            return False
        places.seen.add(message_id)
        places.push(encode(message), front=front)
        return True

    async def enqueue_many(self, queue: str, batch: Sequence[tuple[BaseModel, Offset | None]]) -> list[bool]:
        """Put all messages at the tail, in order."""
        return [await self.enqueue(queue, message, offset=offset) for message, offset in batch]

    async def store_offset(self, offset: Offset) -> None:
        """Store a position without a message."""
        self._offsets[offset.key] = offset.value

    async def load_offset(self, key: str) -> int | None:
        """The stored position, or None."""
        return self._offsets.get(key)

    async def waiting(self, queue: str) -> int:
        """How many messages stand in the ready list."""
        return len(self._queues[queue].ready)

    async def settled(self, queue: str, ids: Sequence[str]) -> list[bool]:
        """Whether each of these messages was answered or given up."""
        return [one in self._queues[queue].done for one in ids]
