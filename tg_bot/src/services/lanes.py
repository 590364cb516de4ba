"""Decides on updates: chats side by side, one chat's updates in order.

A decision may need rest_service or Redis. While they are away the update is deferred: its lane ends, and the
next batch from Telegram starts it again. An update that can never be decided (its shape is unknown, an answer
of rest_service breaks the contract, the handler has a bug) is logged and costs only itself.

No update is deferred without end, because one must not stop the bot. After `MAX_DEFERRAL` its writer is asked
to try again. Telegram returns at most 100 updates from the offset on, so 99 are served behind a deferred
one; when a batch is full, a deferred update expires after `MAX_DEFERRAL_WHEN_FULL`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import RedisError

from service_kit.errors import AccessError, TransientError
from service_kit.lifecycle import end_tasks
from service_kit.logging import bind_correlation, get_logger

from ..client.models import Update
from ..client.telegram import MOST_UPDATES
from .identity import Identity
from .pending_update import Decision, PendingUpdate, create_apology, message_id

log = get_logger(__name__)

Handle = Callable[[Update], Awaitable[Decision]]

BATCH_TIMEOUT = 2.0
"""Seconds that a batch waits for its slowest chat; more than a known user needs when rest_service hangs."""
MAX_DEFERRAL = 3_600.0
"""Seconds that an update waits for rest_service, since this process first saw it."""
MAX_DEFERRAL_WHEN_FULL = 60.0
"""The same while Telegram returns no more updates and others of the batch can be served."""


class DeferredError(TransientError):
    """An update waits for rest_service; those of other chats were served."""


class Lanes:
    """The updates that are not confirmed, and one task for each chat that is being decided on."""

    def __init__(self, handle: Handle, identity: Identity) -> None:
        self._handle = handle
        self._identity = identity
        self._pending: dict[int, PendingUpdate] = {}
        """By update id. Redis forgets ids after a time, so this process remembers what is stored."""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """By chat."""

    def __len__(self) -> int:
        return len(self._pending)

    async def decide(self, new: Sequence[PendingUpdate]) -> list[PendingUpdate]:
        """Decide on as many as possible; returns the same updates, with what is known of earlier tries.

        A chat that takes longer than `BATCH_TIMEOUT` goes on in the background.
        """
        # an update comes again with each batch until it is confirmed
        updates = [self._pending.setdefault(one.update_id, one) for one in new]
        chats = {one.chat_id: None for one in updates if not one.is_decided}
        tasks = [self._start(chat) for chat in chats if chat not in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=BATCH_TIMEOUT)
        self._expire(updates)
        return updates

    def forget_before(self, update_id: int) -> None:
        """Forget what Telegram will not send again."""
        self._pending = {number: one for number, one in self._pending.items() if number >= update_id}

    def clear(self) -> None:
        """Forget all: Telegram numbers its updates anew."""
        self._pending.clear()

    async def close(self) -> None:
        """Cancel what runs; its updates come again."""
        await end_tasks(list(self._tasks.values()))

    def _start(self, chat_id: int) -> asyncio.Task[None]:
        task = self._tasks[chat_id] = asyncio.create_task(self._run(chat_id))
        task.add_done_callback(lambda _: self._tasks.pop(chat_id))
        return task

    async def _run(self, chat_id: int) -> None:
        while update := self._next(chat_id):  # later batches may add to the chat meanwhile
            update.error = None
            with bind_correlation(message_id(update.update_id)):
                try:
                    update.decision = await self._handle(update.update) if update.update else None
                except (TransientError, AccessError, RedisError) as exc:
                    update.error = exc  # a service is away or our key is wrong: the update waits at Telegram
                    return
                except Exception:  # one update, or the bug that it meets, must not stop all others
                    log.exception("update_failed")
                    update.decision = create_apology(self._identity.bot_id, update.update)
            update.is_decided = True

    def _next(self, chat_id: int) -> PendingUpdate | None:
        # a dict keeps the order of arrival, which is the order of a chat
        undecided = (one for one in self._pending.values() if not one.is_decided)
        return next((one for one in undecided if one.chat_id == chat_id), None)

    def _expire(self, updates: Sequence[PendingUpdate]) -> None:
        """Decide on those that waited too long: the first of each chat gets an apology."""
        # while nobody can be served, those behind lose nothing by waiting
        full = len(updates) >= MOST_UPDATES and any(one.is_decided for one in updates)
        longest = MAX_DEFERRAL_WHEN_FULL if full else MAX_DEFERRAL
        now, apologized = asyncio.get_running_loop().time(), set[int]()
        for one in updates:
            waited = now - one.first_seen
            if one.is_decided or waited < longest:
                continue
            log.error("update_expired", update_id=one.update_id, waited=round(waited), reason=str(why(one)))
            if one.chat_id not in apologized:
                one.decision = create_apology(self._identity.bot_id, one.update)
            one.is_decided = True
            apologized.add(one.chat_id)


def why(undecided: PendingUpdate) -> Exception:
    """Why an update is not decided, as the error for the poller."""
    error = undecided.error
    if error is None:
        return DeferredError(f"update {undecided.update_id}: no decision in {BATCH_TIMEOUT:g} s")
    if not isinstance(error, TransientError):
        return error  # Redis is away, or our key is wrong: no use in trying every second
    deferred = DeferredError(str(error))
    deferred.__cause__ = error
    return deferred
