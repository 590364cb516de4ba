"""Conversations that a provider keeps: one interface, whatever the protocol calls them.

Implementations: `conversations` (Responses API), `runs` (the classic Assistants API).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .errors import ModelError
from .model import Message, ModelAnswer, ModelRequest, TextSink, ToolSpec


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

    async def delete(self, thread_id: str) -> None:
        """Delete the thread at the provider; one that is gone already is deleted."""
        ...


@asynccontextmanager
async def kept_whole(thread_id: str, delete: Callable[[str], Awaitable[None]]) -> AsyncIterator[None]:
    """Around the filling of a new thread: one that cannot be filled is deleted again."""
    try:
        yield
    except ModelError:
        with suppress(ModelError):
            await delete(thread_id)
        raise
