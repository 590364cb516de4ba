"""One message, from the stored conversation to the stored turn."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager, nullcontext

from service_kit.logging import get_logger

from ..core.model import ModelBackend
from ..core.run_context import RunContext
from ..storage.turns import receipts_in
from .base import BaseAssistant
from .memory import Memory
from .tool_loop import ToolLoop

log = get_logger(__name__)


class ConversationAssistant(BaseAssistant):
    """An assistant with tools that keeps a conversation with each user; the base of the built-in types."""

    _loop: ToolLoop
    """Made by the type."""

    def __init__(self, *, assistant_id: str, name: str, memory: Memory) -> None:
        super().__init__(assistant_id=assistant_id, name=name)
        self._memory = memory

    async def answer(self, message: str, context: RunContext) -> str:
        """Load the conversation, run the tool loop, store the turn, start compaction.

        The context's deadline bounds the run, not the storing of its turn. Where the run fails, its journal
        keeps what the tools did, and nothing else is stored.

        Raises:
            ModelError: no model gave an answer, or the message alone is too long for it.
            ConfigurationError: the assistant cannot work as its row stands.
            RedisError: the conversation cannot be loaded, or the journal not kept.
        """
        memory, user_id = self._memory, context.user.id
        async with self._lock(user_id):
            past = await memory.load(message, context)
            stored = past.find(context.key, message)
            if stored is not None:
                # delivered again because the acknowledgement was lost: asking anew would cost and differ
                log.info("stored_answer_returned", assistant=self.name)
                context.receipts.extend(receipts_in(stored.messages))
                return stored.answer
            start = memory.prepare_run(past, message, context)
            async with self._open_thread(user_id) as thread:
                result = await self._loop.run(
                    start.message, start.history, context, start.journal, backend=thread
                )
                turn = await memory.store(message, result, past, context)
            if turn is not None:
                memory.start_compaction(past, turn, result, context)
            return result.answer

    def _lock(self, user_id: int) -> AbstractAsyncContextManager[object]:  # noqa: ARG002 - for types that lock
        """Held from loading to storing, for types that cannot run twice at once for one user."""
        return nullcontext()

    @abstractmethod
    def _open_thread(self, user_id: int) -> AbstractAsyncContextManager[ModelBackend | None]:
        """The user's thread at the provider, which answers this run; None: the loop's own backend does."""
