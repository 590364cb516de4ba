"""An assistant over any chat model: instructions and tools from its row, conversation in Redis."""

from collections.abc import Awaitable, Sequence

from service_kit.contracts.assistants import AssistantRead

from ..core.model import ModelBackend
from ..core.run_context import RunContext
from ..tools.base import BaseTool
from ..tools.wrappers import DoneCalls
from .base import BaseAssistant
from .memory import Memory, Opening
from .tool_loop import LoopLimits, ModelChoice, Outcome, ToolLoop


class LLMChat(BaseAssistant):
    """What secretary and sub-assistants have in common."""

    def __init__(
        self,
        row: AssistantRead,
        *,
        backend: ModelBackend,
        tools: Sequence[BaseTool],
        memory: Memory,
        limits: LoopLimits,
        done: DoneCalls | None = None,
    ) -> None:
        super().__init__(assistant_id=str(row.id), name=row.name)
        self.tools = tuple(tools)
        self._memory = memory
        choice = ModelChoice(
            assistant_id=self.assistant_id,
            assistant=self.name,
            models=(row.model, *row.settings.fallback_models),
            instructions=row.instructions,
            temperature=row.settings.temperature,
            max_output_tokens=row.settings.max_output_tokens,
        )
        rounds = row.settings.max_tool_rounds or limits.rounds
        self._loop = ToolLoop(backend, choice, tools, LoopLimits(rounds, limits.output_chars), done)

    async def answer(self, message: str, context: RunContext) -> str:
        """The model's answer, remembered together with the message."""

        def run(opening: Opening) -> Awaitable[Outcome]:
            return self._loop.run(opening.message, opening.history, context, opening.journal)

        return await self._memory.answer(message, context, run)
