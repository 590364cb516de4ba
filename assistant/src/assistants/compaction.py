"""Compaction: the oldest turns of a conversation become a summary, in the background.

No answer waits for it. One `Compactor` a process owns the tasks: at most one for a conversation, and
CONCURRENCY at work. A compaction that fails changes nothing; the next turn of the conversation starts
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

CONCURRENCY = 4
"""Compactions that ask a model at the same time: users' messages come first."""
MAX_TASKS = 1000
"""Compactions at work and waiting; beyond it, the next turn of the conversation asks again."""
DEADLINE = 60.0
"""Seconds for one compaction."""
DRAIN = 5.0
"""Seconds for compactions at work when the service ends; less than the runtimes wait for it."""


class RecordCost(Protocol):
    """Records what a summary used, whether it was written or not; must not raise."""

    async def __call__(
        self, *, user_id: int, message_id: str, totals: RunTotals, kind: UsageKind, run: str
    ) -> None:
        """`message_id` is the message whose turn made the summary necessary, `run` names the compaction."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """What is to be compacted: the turns of a conversation beyond `budget`, or all but the newest `keep`.

    `message_id` is the message whose turn made it necessary.
    """

    user_id: int
    message_id: str
    summarizer: Summarizer
    budget: int
    keep: int | None = None

    @property
    def conversation(self) -> tuple[int, str]:
        """Which one: user and assistant."""
        return self.user_id, self.summarizer.assistant_id


class Compactor:
    """Runs compactions; one for the process."""

    def __init__(self, store: ConversationStore, record: RecordCost) -> None:
        self._store = store
        self._record = record
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._tasks: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._closed = False

    def start(self, compaction: Compaction) -> None:
        """Compact this conversation soon, unless that is under way."""
        conversation = compaction.conversation
        if self._closed or conversation in self._tasks or len(self._tasks) >= MAX_TASKS:
            return
        task = asyncio.create_task(self._run(compaction))
        self._tasks[conversation] = task
        task.add_done_callback(lambda _: self._tasks.pop(conversation, None))

    async def wait_idle(self) -> None:
        """Wait until nothing is being compacted."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def drain(self) -> None:
        """Start nothing more; cancel what is not done after DRAIN seconds."""
        # first: a turn that is stored meanwhile must not start another one
        self._closed = True
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN)
            await end_tasks(tasks)

    async def _run(self, compaction: Compaction) -> None:
        totals = RunTotals()
        assistant, user_id = compaction.summarizer.assistant, compaction.user_id
        async with self._slots:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._compact(compaction, totals)
            except (AssistantError, RedisError, TimeoutError) as exc:
                reason = f"{type(exc).__name__}: {exc}"
                log.warning("compaction_failed", assistant=assistant, user_id=user_id, reason=reason)
            except Exception:  # a bug here must not end in a task that nobody looks at
                log.exception("compaction_broken", assistant=assistant, user_id=user_id)
            # the model was paid, whatever came of it
            if totals.uses:
                await self._record(
                    user_id=user_id,
                    message_id=compaction.message_id,
                    totals=totals,
                    kind=UsageKind.SUMMARY,
                    run=uuid4().hex,
                )

    async def _compact(self, compaction: Compaction, totals: RunTotals) -> None:
        oldest = await self._store.load_oldest(
            *compaction.conversation, budget=compaction.budget, keep=compaction.keep
        )
        if oldest is None:
            return
        assistant = compaction.summarizer.assistant
        summary = await compaction.summarizer.summarize(oldest.summary, oldest.turns, totals)
        if await self._store.compact(oldest, summary):
            log.info("conversation_compacted", assistant=assistant, turns=len(oldest.turns))
        else:
            log.info("compaction_outdated", assistant=assistant)
