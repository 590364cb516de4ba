"""From a batch of updates to messages on the queues: decide, store, confirm.

A message and its offset are stored in one atomic step. The offset stays before the first update that is
deferred (`lanes`). What others wrote after it is stored without an offset, and skipped when it comes again.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Any

from service_kit.contracts.messages import IncomingMessage
from service_kit.logging import get_logger
from service_kit.queue.base import Offset
from service_kit.queue.producer import RedisProducer

from ..client.errors import ServerError
from .lanes import Lanes, why
from .pending_update import PendingUpdate
from .typing_indicator import TypingIndicator

log = get_logger(__name__)


class Intake:
    """Takes updates in."""

    def __init__(
        self,
        producer: RedisProducer,
        typing: TypingIndicator,
        lanes: Lanes,
        *,
        input_queue: str,
        output_queue: str,
    ) -> None:
        self._producer = producer
        self._typing = typing
        self._lanes = lanes
        self._input_queue = input_queue
        self._output_queue = output_queue
        self.next: int | None = None
        """The offset for getUpdates: everything below is stored."""

    async def take(self, key: str, updates: Sequence[dict[str, Any]]) -> None:
        """Take `updates` in, in order, with the offset under `key`.

        Raises:
            DeferredError: all that can be decided now is stored, `next` stays before what cannot.
            TransientError, AccessError, RedisError: in the middle; `next` says how far it came.
        """
        before = self.next
        parsed = [update for raw in updates if (update := PendingUpdate.parse(raw))]
        pending = await self._lanes.decide(parsed)
        decided = list(takewhile(lambda update: update.is_decided, pending))
        await self._store_and_confirm(key, decided)
        if behind := pending[len(decided) :]:
            await self._store([update for update in behind if update.is_decided], key=None)
            raise why(behind[0])
        if self.next == before:  # the next call would bring the same batch, without end
            raise ServerError("getUpdates: a batch without a new update")

    def resume(self, offset: int | None) -> None:
        """Begin at the stored offset; another instance may have moved it meanwhile."""
        self.next = offset
        self._lanes.forget_before(offset or 0)

    def forget(self) -> None:
        """Ask for whatever there is: Telegram numbers its updates anew."""
        self.next = None
        self._lanes.clear()

    async def close(self) -> None:
        """Cancel what is being decided; it comes again."""
        await self._lanes.close()

    async def _store_and_confirm(self, key: str, decided: Sequence[PendingUpdate]) -> None:
        if not decided:
            return
        last = decided[-1]
        with_message = last.decision is not None and not last.is_stored
        await self._store(decided, key)
        if not with_message:  # a message brings its offset along; the last update here has none
            await self._producer.store_offset(Offset(key, last.update_id + 1))
        self.next = last.update_id + 1
        self._lanes.forget_before(self.next)

    async def _store(self, decided: Sequence[PendingUpdate], key: str | None) -> None:
        """Messages, and offsets under `key`, in order; consecutive ones for one queue in one step."""
        new = [update for update in decided if update.decision is not None and not update.is_stored]
        # not sorted by queue: an offset must not be stored before the messages of earlier updates
        for for_assistant, batch in groupby(new, lambda update: isinstance(update.decision, IncomingMessage)):
            await self._enqueue(self._input_queue if for_assistant else self._output_queue, list(batch), key)

    async def _enqueue(self, queue: str, updates: Sequence[PendingUpdate], key: str | None) -> None:
        batch = [
            (update.decision, Offset(key, update.update_id + 1) if key else None)
            for update in updates
            if update.decision is not None
        ]
        for message, _ in batch:  # before the step: the answer may be quicker than our return from it
            if isinstance(message, IncomingMessage):
                self._typing.begin(message.chat_id, message.id or "")
        is_new = [False] * len(batch)
        try:
            is_new = await self._producer.enqueue_many(queue, batch)
        finally:
            for (message, _), new in zip(batch, is_new, strict=True):
                if not new and isinstance(message, IncomingMessage):
                    self._typing.end(message.chat_id, message.id or "")
        for update in updates:
            update.is_stored = True
        log.info(
            "updates_enqueued",
            queue=queue,
            ids=[message.id for message, _ in batch],
            repeats=is_new.count(False),
        )
