"""What one assistant remembers of its users: the steps of `ConversationAssistant.answer` that touch storage.

Everything that depends on the assistant's row is decided here once: the budget for history, the size of
the model's window, who writes the summaries.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from service_kit.contracts.assistants import AssistantRead
from service_kit.logging import get_logger

from ..core.errors import UnknownProviderError
from ..core.model import ModelBackend, ToolSpec, UserMessage
from ..core.run_context import RunContext
from ..messages.context_block import with_context
from ..storage.conversation import Conversation, ConversationStore
from ..storage.journal import Journal
from ..storage.summary import SUMMARY_KEY
from ..storage.turns import Turn, size_of, turn_of
from ..storage.window import HARD_LIMIT, MIN_BUDGET, Budget, budget_of, exceeds_budget
from ..storage.write_retry import retry_write
from ..tools.base import BaseTool
from ..utils.text import compact_json
from ..utils.tokens import MESSAGE_OVERHEAD, estimate_tokens
from .compaction import Compaction, Compactor
from .summarizer import Summarizer
from .tool_loop import RunResult

log = get_logger(__name__)

STORING = 30.0
"""Seconds that an answer waits for its turn to be stored, while Redis is away."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a run starts with.

    `message` is the user's text with the context block; `history` what is remembered, oldest first, as
    much as may be sent along; `journal` knows how far an earlier delivery of the message had come.
    """

    message: UserMessage
    history: tuple[Turn, ...]
    journal: Journal


class Memory:
    """What one assistant remembers of all its users."""

    def __init__(
        self, store: ConversationStore, compactor: Compactor | None, summarizer: Summarizer, budget: Budget
    ) -> None:
        self._store = store
        self._summarizer = summarizer
        self._budget = budget
        self._compactor = compactor

    async def load(self, message: str, context: RunContext) -> Conversation:
        """The conversation with the context's user; its totals get what earlier runs of the message used."""
        past = await self._store.load(
            context.user.id,
            self._summarizer.assistant_id,
            message_id=context.message_id,
            key=context.key,
            asked=message,
        )
        for spent in past.spent:
            context.totals.add_earlier(spent.run, spent.uses)
        return past

    def prepare_run(self, past: Conversation, message: str, context: RunContext) -> RunStart:
        """What the run starts with: anew, or from where an earlier delivery's journal ends.

        Raises:
            ContextOverflowError: the message alone is too long for the model.
        """
        begun = past.begun
        if begun and isinstance(first := begun[0], UserMessage):
            log.info("run_resumed", assistant=self._summarizer.assistant, messages=len(begun))
            # with the time of the first delivery: the model has already answered to it
            opening = first
            # the run has grown: its calls and results take room from the history
            size = sum(map(size_of, begun))
        else:
            opening = UserMessage(with_context(message, context))
            size = size_of(opening)
            self._budget.check(size)
        return RunStart(
            message=opening,
            history=past.window(self._budget.for_history(size)),
            journal=self._store.journal(
                context.user.id,
                self._summarizer.assistant_id,
                key=context.key,
                asked=message,
                begun=begun,
                totals=context.totals,
                until=context.tools_until,
            ),
        )

    async def store(
        self, message: str, result: RunResult, past: Conversation, context: RunContext
    ) -> Turn | None:
        """Store the run's turn, trying again while Redis is away, for STORING seconds; None: not stored.

        Never fails: an answer in hand is given in any case, for asked again the model would be paid twice.
        """
        user, assistant, budget = context.user.id, self._summarizer.assistant_id, self._budget.history
        turn = turn_of(context.key, message, result.messages).within(budget)
        until = asyncio.get_running_loop().time() + STORING
        try:
            await retry_write(
                lambda: self._store.append(user, assistant, turn, before=past, budget=budget), until=until
            )
        except RedisError as exc:
            log.error("turn_not_stored", assistant=self._summarizer.assistant, reason=type(exc).__name__)  # noqa: TRY400
            return None
        return turn

    def start_compaction(
        self, past: Conversation, turn: Turn, result: RunResult, context: RunContext
    ) -> None:
        """Have the oldest turns summarized in the background, where the conversation exceeds its budget."""
        if self._compactor is None or self._budget.history < MIN_BUDGET:
            return
        sizes = [each.tokens for each in (*past.turns, turn)]
        if not result.overflowed and not exceeds_budget(sizes, self._budget.history):
            return
        # what the model could not take this time, it cannot take the next time either
        sent = sum(each.key != SUMMARY_KEY for each in result.history) + 1
        self._compactor.start(
            Compaction(
                user_id=context.user.id,
                message_id=context.message_id,
                summarizer=self._summarizer,
                budget=self._budget.history,
                keep=sent if result.overflowed else None,
            )
        )


def _unknown(model: str) -> int | None:  # noqa: ARG001 - it knows no model
    return None


class Memories:
    """Makes the memories of assistants; one for the process.

    `history_tokens` is the budget where a row names none, `context_tokens` tells the size of a model's
    window by the name that rows give the model; None where it is not known. Without `compactor`, what
    exceeds a conversation's budget is forgotten.
    """

    def __init__(
        self,
        store: ConversationStore,
        *,
        history_tokens: int = 16_000,
        context_tokens: Callable[[str], int | None] = _unknown,
        compactor: Compactor | None = None,
    ) -> None:
        self._store = store
        self._compactor = compactor
        self._history_tokens = history_tokens
        self._context_tokens = context_tokens

    def of(self, row: AssistantRead, *, backend: ModelBackend, tools: Sequence[BaseTool]) -> Memory:
        """The memory of the assistant in `row`; `backend` is asked for its summaries."""
        fixed = estimate_tokens(row.instructions) + sum(_estimate_size(tool.spec) for tool in tools)
        history = row.settings.history_tokens or self._history_tokens
        window = self._window(row.model)
        budget = budget_of(history, window=window, fixed=fixed, output=row.settings.max_output_tokens)
        if budget.history < MIN_BUDGET:
            log.warning("window_too_small_for_history", assistant=row.name, window=window, fixed=fixed)
        summarizer = Summarizer(
            backend,
            assistant_id=str(row.id),
            assistant=row.name,
            models=(row.model, *row.settings.fallback_models),
            # half of the window, for tokens are estimated; the other half is for instructions and notes
            transcript_tokens=window // 2 if window else history * HARD_LIMIT,
            max_output_tokens=row.settings.max_output_tokens,
        )
        return Memory(self._store, self._compactor, summarizer, budget)

    def _window(self, model: str) -> int | None:
        try:
            return self._context_tokens(model)
        except UnknownProviderError:
            # the run reports it; here a fallback model may still answer
            return None


def _estimate_size(tool: ToolSpec) -> int:
    return estimate_tokens(compact_json([tool.name, tool.description, tool.schema])) + MESSAGE_OVERHEAD
