"""What every assistant has in common, whatever model or service answers."""

from abc import ABC, abstractmethod

from ..core.run_context import RunContext


class BaseAssistant(ABC):
    """Answers messages of any user. Shared by all users: it keeps nothing of one run."""

    def __init__(self, *, assistant_id: str, name: str) -> None:
        self.assistant_id = assistant_id
        self.name = name

    async def process_message(self, message: str, user_id: int, context: RunContext | None = None) -> str:
        """The answer to `message` of this user; without a context the user is known by id alone.

        Raises:
            ModelError: no model gave an answer.
            ConfigurationError: the assistant cannot work as its row stands.
            ValueError: the context belongs to another user.
        """
        if context is None:
            context = RunContext.anonymous(user_id)
        if context.user.id != user_id:
            msg = "the run's context belongs to another user"
            raise ValueError(msg)
        return await self.answer(message, context)

    @abstractmethod
    async def answer(self, message: str, context: RunContext) -> str:
        """The answer to `message` in this run; raises as `process_message`."""
