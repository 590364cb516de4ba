"""From a batch of updates to messages on the queues: decide, store, remember the offset.

Message and offset are stored in one atomic step. What cannot be decided now (rest_service or Redis is
away) stays at Telegram and comes again. What never can be (an update of a shape we do not know, a bug
of ours) is logged and passed over, for one update must not stop the bot.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from pydantic import ValidationError
from redis.exceptions import RedisError

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.errors import AccessError, TransientError
from service_kit.logging import correlated, get_logger
from service_kit.queue.base import Offset, Producer

from ..client.errors import ServerError
from ..client.models import ChatType, Update
from ..handlers.base import Outcome, notice
from ..utils.texts import texts_for
from .typing_indicator import TypingIndicator

log = get_logger(__name__)

BATCH = 32
"""Updates that are decided before the first of them goes on the queue."""

Handle = Callable[[Update], Awaitable[Outcome]]
Entry: TypeAlias = tuple[IncomingMessage | OutgoingMessage, Offset]


class Intake:
    """Takes updates in."""

    def __init__(
        self,
        producer: Producer,
        typing: TypingIndicator,
        handle: Handle,
        *,
        input_queue: str,
        output_queue: str,
    ) -> None:
        self._producer = producer
        self._typing = typing
        self._handle = handle
        self._input_queue = input_queue
        self._output_queue = output_queue
        self.next: int | None = None
        """What getUpdates is asked for: everything below is stored."""

    async def take(self, key: str, updates: Sequence[dict[str, Any]]) -> None:
        """Take `updates` in, in order, with the offset under `key`.

        Raises:
            TransientError, AccessError, RedisError: in the middle; `next` says how far it came.
        """
        before = self.next
        for start in range(0, len(updates), BATCH):
            await self._take(key, updates[start : start + BATCH])
        if self.next == before:  # asking again at once would bring the same, for ever
            raise ServerError("getUpdates: a batch without a new update")

    async def _take(self, key: str, updates: Sequence[dict[str, Any]]) -> None:
        decided: list[tuple[int, Outcome]] = []
        try:
            for raw in updates:
                update_id = raw.get("update_id")
                if not isinstance(update_id, int):
                    log.error("update_without_id", fields=sorted(raw))
                    continue
                with correlated(f"tg:{update_id}"):
                    decided.append((update_id, await self._decide(raw)))
        finally:
            await self._store(key, decided)

    async def _decide(self, raw: dict[str, Any]) -> Outcome:
        try:
            update = Update.model_validate(raw)
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]
            log.error("update_not_understood", field=problem["loc"], problem=problem["msg"])  # noqa: TRY400 - no bug
            return None
        try:
            return await self._handle(update)
        except (TransientError, AccessError, RedisError):
            raise  # the parts we need are away, or our key is wrong: the update waits at Telegram
        except Exception:  # one update, or the bug that it meets, must not stop all others
            log.exception("update_failed")
        message = update.message
        if message is None or message.chat.type is not ChatType.PRIVATE:
            return None
        language = message.sender.language_code if message.sender else None
        return notice(update.update_id, message.chat.id, texts_for(language).failed)

    async def _store(self, key: str, decided: Sequence[tuple[int, Outcome]]) -> None:
        """Messages and offsets, in order; consecutive ones for one queue in one step."""
        if not decided:
            return
        entries = [
            (outcome, Offset(key, update_id + 1)) for update_id, outcome in decided if outcome is not None
        ]
        for queue, run in groupby(entries, key=lambda entry: self._queue_of(entry[0])):
            await self._enqueue(queue, list(run))
        last, outcome = decided[-1]
        if outcome is None:  # the offsets before it went with a message, or are below it
            await self._producer.store_offset(Offset(key, last + 1))
        self.next = last + 1

    def _queue_of(self, message: IncomingMessage | OutgoingMessage) -> str:
        return self._input_queue if isinstance(message, IncomingMessage) else self._output_queue

    async def _enqueue(self, queue: str, run: Sequence[Entry]) -> None:
        asked = [message for message, _ in run if isinstance(message, IncomingMessage)]
        for message in asked:  # before the step: the answer may be quicker than our return from it
            self._typing.begin(message.chat_id, message.id or "")
        stored = [False] * len(run)
        try:
            stored = await self._producer.enqueue_many(queue, run)
        finally:
            for (entry, _), new in zip(run, stored, strict=True):
                if not new and isinstance(entry, IncomingMessage):
                    self._typing.end(entry.chat_id, entry.id or "")
        log.info(
            "updates_enqueued",
            queue=queue,
            ids=[message.id for message, _ in run],
            repeats=stored.count(False),
        )
