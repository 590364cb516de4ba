"""Conversations that a provider keeps: one interface, whatever the protocol calls them.

Implementations: `conversations` (Responses API), `runs` (the classic Assistants API).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service_kit.errors import KitError
from service_kit.logging import get_logger

from .errors import ModelError
from .model import Message, ModelAnswer, ModelRequest, TextSink, ToolSpec

log = get_logger(__name__)

DROP_TIMEOUT = 3.0
"""Seconds to delete a thread that nobody will use: a user waits meanwhile, or the end of the service."""


class OpenAIProtocol(StrEnum):
    """What `openai_api` assistants speak."""

    CONVERSATIONS = "conversations"
    """Responses API, with the history in a Conversation at the provider."""
    RESPONSES = "responses"
    """Responses API with nothing kept there: the history is sent along."""
    THREADS = "threads"
    """The classic Assistants API, for servers that kept it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an assistant is: its id here, its name, and its id at the provider where a row gives one."""

    key: str
    name: str
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """How an assistant works, for protocols in which the provider knows assistants."""

    model: str
    """The provider's own name of the model."""
    instructions: str
    tools: Sequence[ToolSpec] = ()


class ThreadBackend(Protocol):
    """A provider that keeps the history. All methods raise ModelError."""

    @property
    def provider(self) -> str:
        """The provider's name."""
        ...

    async def create(self, messages: Sequence[Message]) -> str:
        """The id of a new thread that holds `messages`."""
        ...

    async def ask(
        self,
        thread_id: str,
        request: ModelRequest,
        new: Sequence[Message],
        *,
        run: str,
        on_text: TextSink | None,
    ) -> ModelAnswer:
        """One attempt at the answer of `request.models[0]` to `new`, which the thread does not hold yet.

        `run` is the `opaque` of the thread's last answer where `new` are the results of its calls.

        Raises:
            ThreadLostError: the thread is gone or cannot be continued.
            ModelUnavailableError: no answer now; with code `conversation_locked` or status 429 the
                thread is as it was before, else nobody knows.
            ModelRefusedError: this request cannot be answered.
        """
        ...

    async def publish(self, definition: Definition) -> None:
        """Let the provider know how the assistant works from now on."""
        ...

    def mark_unsupported(self, reason: str) -> None:
        """The server does not know the protocol, and refused as `reason` says: nobody asks it again."""
        ...

    async def delete(self, thread_id: str) -> None:
        """Delete the thread at the provider; one that is gone already is deleted."""
        ...


@asynccontextmanager
async def delete_unless_complete(
    thread_id: str, delete: Callable[[str], Awaitable[None]]
) -> AsyncIterator[None]:
    """Around what a new thread needs yet: where that fails or is cancelled, the thread is deleted again.

    No row names it, so nothing else would ever delete it.
    """
    try:
        yield
    except (ModelError, KitError, asyncio.CancelledError):
        try:
            # the cancellation is on hold meanwhile: the service may be stopping
            async with asyncio.timeout(DROP_TIMEOUT):
                await delete(thread_id)
        except (ModelError, TimeoutError) as exc:
            reason = str(exc) or type(exc).__name__
            log.warning("thread_left_at_provider", thread_id=thread_id, reason=reason)
        raise
