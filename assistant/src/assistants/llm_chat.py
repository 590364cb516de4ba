"""An assistant over any chat model: instructions and tools from its row, conversation in Redis."""

from collections.abc import Sequence

from service_kit.contracts.assistants import AssistantRead
from service_kit.logging import get_logger

from ..core.model import ModelBackend, UserMessage
from ..core.run_context import RunContext
from ..messages.context_block import with_context
from ..storage.conversation import ConversationStore
from ..storage.turns import turn_of
from ..tools.base import BaseTool
from .base import BaseAssistant
from .tool_loop import LoopLimits, ModelChoice, ToolLoop

log = get_logger(__name__)


class LLMChat(BaseAssistant):
    """What secretary and sub-assistants have in common."""

    def __init__(
        self,
        row: AssistantRead,
        *,
        backend: ModelBackend,
        tools: Sequence[BaseTool],
        conversations: ConversationStore,
        limits: LoopLimits,
        history_tokens: int,
    ) -> None:
        super().__init__(assistant_id=str(row.id), name=row.name)
        self.tools = tuple(tools)
        self._conversations = conversations
        self._history_tokens = row.settings.history_tokens or history_tokens
        choice = ModelChoice(
            assistant_id=self.assistant_id,
            assistant=self.name,
            models=(row.model, *row.settings.fallback_models),
            instructions=row.instructions,
            temperature=row.settings.temperature,
            max_output_tokens=row.settings.max_output_tokens,
        )
        rounds = row.settings.max_tool_rounds or limits.rounds
        self._loop = ToolLoop(backend, choice, tools, LoopLimits(rounds, limits.output_chars))

    async def answer(self, message: str, context: RunContext) -> str:
        """The model's answer, remembered together with the message.

        A message that was answered before, and is delivered again because the acknowledgement was
        lost, gets the stored answer without another call of the model.
        """
        budget = self._history_tokens
        past = await self._conversations.load(context.user.id, self.assistant_id, budget=budget)
        if (stored := past.find(context.key, message)) is not None:
            log.info("answer_was_stored", assistant=self.name)
            return stored.answer
        opening = UserMessage(with_context(message, context))
        outcome = await self._loop.run(opening, past.turns, context)
        await self._conversations.append(
            context.user.id,
            self.assistant_id,
            turn_of(context.key, message, outcome.messages),
            before=outcome.history,
            budget=budget,
            cut=outcome.overflowed,
        )
        return outcome.answer
