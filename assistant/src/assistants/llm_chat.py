"""An assistant over any chat model: instructions and tools from its row, conversation in Redis."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from service_kit.contracts.assistants import AssistantRead

from ..core.model import ModelBackend
from ..tools.base import BaseTool
from ..tools.wrappers import DoneCalls
from .conversation_assistant import ConversationAssistant
from .memory import Memory
from .tool_loop import LoopLimits, ModelChoice, ToolLoop


class LLMChat(ConversationAssistant):
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
        super().__init__(assistant_id=str(row.id), name=row.name, memory=memory)
        self.tools = tuple(tools)
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

    def _open_thread(self, user_id: int) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        return nullcontext()
