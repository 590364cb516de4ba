"""From a batch of updates to messages on the queues: decide, store, remember the offset.

Message and offset are stored in one atomic step. What cannot be decided now (rest_service or Redis is
away) stays at Telegram and comes again; the offset stays before it. What other chats wrote after it is
stored all the same, and passed over when it comes again. What never can be decided (an update of a shape we
do not know, an answer of rest_service that breaks the contract, a bug of ours) is logged and passed over.

No update waits without end, for one must not stop the bot: after `LONGEST_WAIT` its writer is told to try
again. Telegram gives 100 updates from the offset on at most, so behind one that waits, 99 are served; where
that many came, who waits is told after `LONGEST_WAIT_IN_THE_WAY`, and the others are served on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import Any

from pydantic import ValidationError
from redis.exceptions import RedisError

from service_kit.contracts.messages import IncomingMessage
from service_kit.errors import AccessError, TransientError
from service_kit.lifecycle import end_tasks
from service_kit.logging import correlated, get_logger
from service_kit.queue.base import Offset
from service_kit.queue.producer import RedisProducer

from ..client.errors import ServerError
from ..client.models import ChatType, Update
from ..client.telegram import MOST_UPDATES
from ..handlers.base import Outcome, notice
from ..utils.texts import texts_for
from .identity import Identity, message_id
from .typing_indicator import TypingIndicator

log = get_logger(__name__)

Handle = Callable[[Update], Awaitable[Outcome]]

PATIENCE = 2.0
"""Seconds that a batch waits for its slowest chat; more than a known user needs when rest_service hangs."""

LONGEST_WAIT = 3_600.0
"""Seconds that an update waits for rest_service, since this process first saw it."""
LONGEST_WAIT_IN_THE_WAY = 60.0
"""The same, while those behind it can be served and Telegram gives no more of them."""


class HeldUpError(TransientError):
    """An update waits for rest_service; those of other chats were served."""


@dataclass(slots=True, eq=False)
class _Decision:
    """What an update leads to, as far as that is known."""

    update_id: int
    update: Update | None
    """None where it is of a shape we do not know."""
    made: bool = False
    outcome: Outcome = None
    stored: bool = False
    """Whether the outcome is on its queue."""
    trouble: Exception | None = None
    """Why it could not be made now."""
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())

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
        producer: RedisProducer,
        typing: TypingIndicator,
        handle: Handle,
        *,
        identity: Identity,
        input_queue: str,
        output_queue: str,
    ) -> None:
        self._producer = producer
        self._identity = identity
        self._typing = typing
        self._handle = handle
        self._input_queue = input_queue
        self._output_queue = output_queue
        self.next: int | None = None
        """What getUpdates is asked for: everything below is stored."""
        self._open: dict[int, _Decision] = {}
        """What came and is not confirmed, by update id; in process, for Redis forgets ids after a day."""
        self._lanes: dict[int, tuple[list[_Decision], asyncio.Task[None]]] = {}
        """The chats that are being decided on."""

    async def take(self, key: str, updates: Sequence[dict[str, Any]]) -> None:
        """Take `updates` in, in order, with the offset under `key`.

        Raises:
            HeldUpError: all that can be decided now is stored, `next` stays before what cannot.
            TransientError, AccessError, RedisError: in the middle; `next` says how far it came.
        """
        before = self.next
        decisions = [decision for raw in updates if (decision := self._known(raw))]
        await self._decide_on([decision for decision in decisions if not decision.made])
        self._give_up_overdue(decisions)
        made = list(takewhile(lambda decision: decision.made, decisions))
        await self._store_and_confirm(key, made)
        waiting = decisions[len(made) :]
        await self._store([decision for decision in waiting if decision.made], key=None)
        if waiting:
            raise _why(waiting[0])
        if self.next == before:  # asking again at once would bring the same, for ever
            raise ServerError("getUpdates: a batch without a new update")

    def forget(self) -> None:
        """Ask for whatever there is: Telegram numbers its updates anew."""
        self.next = None
        self._open.clear()

    async def close(self) -> None:
        """End what is being decided; it comes again."""
        lanes, self._lanes = self._lanes, {}
        if lanes:
            await end_tasks([task for _, task in lanes.values()])

    def _known(self, raw: dict[str, Any]) -> _Decision | None:
        """What is known of the update; None where it has not even an id."""
        update_id = raw.get("update_id")
        if not isinstance(update_id, int) or isinstance(update_id, bool) or not 0 < update_id < 2**53:
            log.error("update_without_id", fields=sorted(raw))
            return None
        if update_id not in self._open:
            self._open[update_id] = _Decision(update_id, _parsed(raw, update_id))
        return self._open[update_id]

    async def _decide_on(self, decisions: Sequence[_Decision]) -> None:
        """Chats side by side, for each may wait for Redis or rest_service; one chat's updates in order.

        Whoever takes longer than `PATIENCE` is decided on in the background: nobody waits for them again.
        """
        self._lanes = {chat: lane for chat, lane in self._lanes.items() if not lane[1].done()}
        chats: defaultdict[int, list[_Decision]] = defaultdict(list)
        for decision in decisions:
            chats[decision.chat].append(decision)
        begun = []
        for chat, lane in chats.items():
            if chat in self._lanes:
                underway = self._lanes[chat][0]
                underway += [decision for decision in lane if decision not in underway]
            else:
                task = asyncio.create_task(self._decide_in_order(lane))
                self._lanes[chat] = lane, task
                begun.append(task)
        if begun:
            await asyncio.wait(begun, timeout=PATIENCE)

    async def _decide_in_order(self, lane: Sequence[_Decision]) -> None:
        for decision in lane:  # which may grow meanwhile
            decision.trouble = None
            with correlated(message_id(self._identity.bot_id, decision.update_id)):
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
        return self._apology(update)

    def _give_up_overdue(self, decisions: Sequence[_Decision]) -> None:
        """Those that have waited too long; of a chat's only the first is answered."""
        full = len(decisions) >= MOST_UPDATES and any(decision.made for decision in decisions)
        longest = LONGEST_WAIT_IN_THE_WAY if full else LONGEST_WAIT
        now, apologised = asyncio.get_running_loop().time(), set[int]()
        for decision in decisions:
            if decision.made or now - decision.since < longest:
                continue
            log.error(
                "update_given_up",
                update_id=decision.update_id,
                waited=round(now - decision.since),
                reason=str(_why(decision)),
            )
            if decision.update and decision.chat not in apologised:
                decision.outcome = self._apology(decision.update)
            decision.made = True
            apologised.add(decision.chat)

    def _apology(self, update: Update) -> Outcome:
        """What a person hears whose message cannot be handled; nobody hears it in a group."""
        message = update.message
        if message is None or message.chat.type is not ChatType.PRIVATE:
            return None
        language = message.sender.language_code if message.sender else None
        bot_id = self._identity.bot_id
        return notice(bot_id, update.update_id, message.chat.id, texts_for(language).failed)

    async def _store_and_confirm(self, key: str, made: Sequence[_Decision]) -> None:
        if not made:
            return
        last = made[-1]
        with_message = last.outcome is not None and not last.stored
        await self._store(made, key)
        if not with_message:  # the offsets before it went with a message, or are below it
            await self._producer.store_offset(Offset(key, last.update_id + 1))
        self.next = last.update_id + 1
        self._open = {number: one for number, one in self._open.items() if number >= self.next}

    async def _store(self, made: Sequence[_Decision], key: str | None) -> None:
        """Messages, and offsets under `key`, in order; consecutive ones for one queue in one step."""
        new = [decision for decision in made if decision.outcome is not None and not decision.stored]
        for queue, run in groupby(new, key=lambda decision: self._queue_of(decision.outcome)):
            await self._enqueue(queue, list(run), key)

    def _queue_of(self, outcome: Outcome) -> str:
        return self._input_queue if isinstance(outcome, IncomingMessage) else self._output_queue

    async def _enqueue(self, queue: str, run: Sequence[_Decision], key: str | None) -> None:
        batch = [
            (decision.outcome, Offset(key, decision.update_id + 1) if key else None)
            for decision in run
            if decision.outcome is not None
        ]
        asked = [message for message, _ in batch if isinstance(message, IncomingMessage)]
        for message in asked:  # before the step: the answer may be quicker than our return from it
            self._typing.begin(message.chat_id, message.id or "")
        stored = [False] * len(batch)
        try:
            stored = await self._producer.enqueue_many(queue, batch)
        finally:
            for (entry, _), new in zip(batch, stored, strict=True):
                if not new and isinstance(entry, IncomingMessage):
                    self._typing.end(entry.chat_id, entry.id or "")
        for decision in run:
            decision.stored = True
        log.info(
            "updates_enqueued",
            queue=queue,
            ids=[message.id for message, _ in batch],
            repeats=stored.count(False),
        )


def _why(undecided: _Decision) -> Exception:
    """Why it is not decided."""
    trouble = undecided.trouble
    if trouble is None:
        return HeldUpError(f"update {undecided.update_id}: no decision in {PATIENCE:g} s")
    if not isinstance(trouble, TransientError):
        return trouble  # Redis is away, or our key is wrong: no use in trying every second
    held_up = HeldUpError(str(trouble))
    held_up.__cause__ = trouble
    return held_up


def _parsed(raw: dict[str, Any], update_id: int) -> Update | None:
    """None where it is of a shape we do not know."""
    try:
        return Update.model_validate(raw)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False)[0]
        log.error(  # noqa: TRY400 - no bug, no traceback
            "update_not_understood", update_id=update_id, field=problem["loc"], problem=problem["msg"]
        )
        return None
