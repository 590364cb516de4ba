"""From a batch of updates to messages on the queues: decide, store, remember the offset.

Message and offset are stored in one atomic step. What cannot be decided now (rest_service or Redis is
away) stays at Telegram and comes again. What never can be (an update of a shape we do not know, a bug
of ours) is logged and passed over, for one update must not stop the bot.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
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

Handle = Callable[[Update], Awaitable[Outcome]]
Entry: TypeAlias = tuple[IncomingMessage | OutgoingMessage, Offset]


@dataclass(slots=True)
class _Decision:
    """What an update leads to, as far as that is known."""

    update_id: int
    update: Update | None
    """None where it is of a shape we do not know."""
    made: bool = False
    outcome: Outcome = None
    trouble: Exception | None = None
    """Why it could not be made now."""

    @property
    def chat(self) -> int:
        """Whose order it keeps; 0 where that does not matter."""
        update = self.update
        about = (update.message or update.edited_message or update.my_chat_member) if update else None
        return about.chat.id if about else 0


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
        decisions = [decision for raw in updates if (decision := _begun(raw))]
        # chats side by side, for each may wait for Redis or rest_service; one chat's updates in order
        chats: defaultdict[int, list[_Decision]] = defaultdict(list)
        for decision in decisions:
            chats[decision.chat].append(decision)
        await asyncio.gather(*(self._decide_in_order(chat) for chat in chats.values()))
        made = list(takewhile(lambda decision: decision.made, decisions))
        await self._store(key, made)
        if len(made) < len(decisions) and (trouble := decisions[len(made)].trouble):
            raise trouble
        if self.next == before:  # asking again at once would bring the same, for ever
            raise ServerError("getUpdates: a batch without a new update")

    async def _decide_in_order(self, decisions: Sequence["_Decision"]) -> None:
        for decision in decisions:
            with correlated(f"tg:{decision.update_id}"):
                try:
                    decision.outcome = await self._decide(decision.update)
                except (TransientError, AccessError, RedisError) as exc:
                    decision.trouble = exc
                    return
            decision.made = True

    async def _decide(self, update: Update | None) -> Outcome:
        if update is None:
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

    async def _store(self, key: str, made: Sequence["_Decision"]) -> None:
        """Messages and offsets, in order; consecutive ones for one queue in one step."""
        if not made:
            return
        entries = [
            (decision.outcome, Offset(key, decision.update_id + 1))
            for decision in made
            if decision.outcome is not None
        ]
        for queue, run in groupby(entries, key=lambda entry: self._queue_of(entry[0])):
            await self._enqueue(queue, list(run))
        last = made[-1]
        if last.outcome is None:  # the offsets before it went with a message, or are below it
            await self._producer.store_offset(Offset(key, last.update_id + 1))
        self.next = last.update_id + 1

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


def _begun(raw: dict[str, Any]) -> _Decision | None:
    """The update, parsed; None where it has not even an id."""
    update_id = raw.get("update_id")
    if not isinstance(update_id, int):
        log.error("update_without_id", fields=sorted(raw))
        return None
    try:
        return _Decision(update_id, Update.model_validate(raw))
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False)[0]
        log.error(  # noqa: TRY400 - no bug, no traceback
            "update_not_understood", update_id=update_id, field=problem["loc"], problem=problem["msg"]
        )
        return _Decision(update_id, None)
