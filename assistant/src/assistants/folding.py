"""Conversations are folded in the background: no answer waits for a summary.

One `Folding` a process owns the tasks: at most one for a conversation and AT_ONCE at work, each with a
deadline, ended by `drain`. A fold that fails changes nothing; the next turn of the conversation begins
another one.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from redis.exceptions import RedisError

from service_kit.contracts.usage import UsageKind
from service_kit.lifecycle import end_tasks
from service_kit.logging import get_logger

from ..core.errors import AssistantError
from ..core.run_context import RunTotals
from ..storage.conversation import ConversationStore
from .summarizer import Summarizer

log = get_logger(__name__)

AT_ONCE = 4
"""Folds that ask a model at the same time: users' messages come first."""
MOST_WAITING = 1000
"""Folds at work and waiting; of more, the next turn of the conversation asks again."""
DEADLINE = 60.0
"""Seconds for one fold."""
DRAIN = 5.0
"""Seconds that folds at work have when the service ends; less than the runtimes wait for it."""


class RecordCost(Protocol):
    """Told what a summary used, whether it came about or not; must not raise."""

    async def __call__(
        self, *, user_id: int, message_id: str, totals: RunTotals, kind: UsageKind, run: str
    ) -> None:
        """`message_id` is the message whose turn made the summary necessary, `run` names the fold."""


@dataclass(frozen=True, slots=True)
class Fold:
    """What is to be folded: the turns of a conversation beyond `budget`, or all but the newest `at_most`.

    `message_id` is the message whose turn made it necessary.
    """

    user_id: int
    message_id: str
    summarizer: Summarizer
    budget: int
    at_most: int | None = None

    @property
    def conversation(self) -> tuple[int, str]:
        """Which one."""
        return self.user_id, self.summarizer.assistant_id


class Folding:
    """Runs folds; one for the process."""

    def __init__(self, store: ConversationStore, record: RecordCost) -> None:
        self._store = store
        self._record = record
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._ended = False

    def begin(self, fold: Fold) -> None:
        """Fold this conversation soon, unless it is being folded."""
        if self._ended or fold.conversation in self._tasks or len(self._tasks) >= MOST_WAITING:
            return
        task = asyncio.create_task(self._run(fold))
        self._tasks[fold.conversation] = task
        task.add_done_callback(lambda _: self._tasks.pop(fold.conversation, None))

    async def idle(self) -> None:
        """Wait until nothing is being folded."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def drain(self) -> None:
        """Begin nothing more; what is not done after DRAIN seconds is given up."""
        self._ended = True
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN)
            await end_tasks(tasks)

    async def _run(self, fold: Fold) -> None:
        totals = RunTotals()
        assistant = fold.summarizer.assistant
        async with self._slots:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._folded(fold, totals)
            except (AssistantError, RedisError, TimeoutError) as exc:
                reason = f"{type(exc).__name__}: {exc}"
                log.warning("fold_failed", assistant=assistant, user_id=fold.user_id, reason=reason)
            except Exception:  # a bug here must not end in a task that nobody looks at
                log.exception("fold_broken", assistant=assistant, user_id=fold.user_id)
            if totals.uses:
                await self._record(
                    user_id=fold.user_id,
                    message_id=fold.message_id,
                    totals=totals,
                    kind=UsageKind.SUMMARY,
                    run=uuid4().hex,
                )

    async def _folded(self, fold: Fold, totals: RunTotals) -> None:
        fallen = await self._store.fallen(*fold.conversation, budget=fold.budget, at_most=fold.at_most)
        if fallen is None:
            return
        summary = await fold.summarizer.fold(fallen.summary, fallen.turns, totals)
        if await self._store.fold(fallen, summary):
            log.info("conversation_folded", assistant=fold.summarizer.assistant, turns=len(fallen.turns))
        else:
            log.info("fold_came_too_late", assistant=fold.summarizer.assistant)
