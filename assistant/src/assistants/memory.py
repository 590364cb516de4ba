"""What every type of assistant does around its model, in one place.

Load the past of (user, assistant); a message that was answered before gets the stored answer; else run,
and append the turn whole. What runs is the type's own business: a tool loop over history sent along, or
over a conversation kept at the provider.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service_kit.logging import get_logger

from ..core.model import UserMessage
from ..core.run_context import RunContext
from ..messages.context_block import with_context
from ..storage.conversation import ConversationStore
from ..storage.journal import Journal
from ..storage.turns import Turn, turn_of
from .tool_loop import Outcome

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a run starts with.

    `message` is the user's text with the context block; `history` what is remembered, oldest first, as
    much as may be sent along; `journal` knows how far an earlier delivery of the message had come.
    """

    message: UserMessage
    history: tuple[Turn, ...]
    journal: Journal


Run = Callable[[Opening], Awaitable[Outcome]]
"""One run of an assistant's model and tools; `Outcome.messages` is the turn to remember."""


class Memory:
    """What one assistant remembers of all its users."""

    def __init__(
        self, store: ConversationStore, *, assistant_id: str, assistant: str, history_tokens: int
    ) -> None:
        self._store = store
        self._assistant_id = assistant_id
        self._assistant = assistant
        self._budget = history_tokens

    async def answer(self, message: str, context: RunContext, run: Run) -> str:
        """The answer of `run`, remembered together with the message.

        A message that was answered before, and is delivered again because the acknowledgement was
        lost, gets the stored answer without another run. One whose run was cut off is run again from
        its journal. Raises what `run` raises, and then remembers nothing.
        """
        user, assistant, key = context.user.id, self._assistant_id, context.key
        past = await self._store.load(user, assistant, key=key, asked=message)
        if (stored := past.find(key, message)) is not None:
            log.info("answer_was_stored", assistant=self._assistant)
            return stored.answer
        if past.begun:
            log.info("run_goes_on", assistant=self._assistant, messages=len(past.begun))
        journal = self._store.journal(user, assistant, key=key, asked=message, begun=past.begun)
        opening = UserMessage(with_context(message, context))
        outcome = await run(Opening(opening, past.window(self._budget), journal))
        turn = turn_of(key, message, outcome.messages)
        await self._store.append(user, assistant, turn, before=past, budget=self._budget)
        return outcome.answer
