"""Conversations kept by the Responses API (`/conversations`): the default for `openai_api` assistants.

The provider adds what it is sent and what it answers to the conversation, when the response is
complete. Facts about failures: two responses at once on one conversation are refused with 400
`conversation_locked`; a call that nobody answered is refused for ever ("No tool output found for
function call …"); items come and go in at most 20 a request.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ModelRefusedError, ModelUnavailableError, ThreadLostError
from ..model import Message, ModelAnswer, ModelRequest, TextSink
from ..providers.provider import Provider
from ..thread_backend import Definition, delete_unless_complete
from ..wire.parsing import Made, parse_as
from .backend import ask
from .request import input_items, response_body

PATH = "/conversations"
PREFIX = "conv_"
ITEMS_A_REQUEST = 20

_LOCKED = "conversation_locked"
_STUCK = ("no tool output found", "no tool call found")


class ConversationsBackend:
    """Implements `ThreadBackend` over Responses and Conversations."""

    def __init__(self, provider: Provider, *, strict: bool = True) -> None:
        self._provider = provider
        self._strict = strict

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider.name

    async def create(self, messages: Sequence[Message]) -> str:
        """The id of a new conversation that holds `messages`."""
        items = input_items(messages)
        first, rest = items[:ITEMS_A_REQUEST], items[ITEMS_A_REQUEST:]
        payload = await self._provider.request("POST", PATH, {"items": first} if first else {})
        thread_id = parse_as(Made, payload, "a conversation").id
        async with delete_unless_complete(thread_id, self.delete):
            for start in range(0, len(rest), ITEMS_A_REQUEST):
                batch = {"items": rest[start : start + ITEMS_A_REQUEST]}
                await self._provider.request("POST", f"{PATH}/{thread_id}/items", batch)
        return thread_id

    async def ask(
        self,
        thread_id: str,
        request: ModelRequest,
        new: Sequence[Message],
        *,
        run: str,  # noqa: ARG002 - a conversation has no open run
        on_text: TextSink | None,
    ) -> ModelAnswer:
        """The answer to `new`, which the conversation does not hold yet."""
        body = response_body(request.models[0], request, input_items(new), strict=self._strict)
        try:
            answer = await ask(self._provider, body | {"conversation": thread_id}, on_text)
        except ModelRefusedError as exc:
            if exc.code == _LOCKED:
                # another response of the same conversation is under way: it ends soon
                raise ModelUnavailableError(str(exc), status=exc.status, code=_LOCKED) from exc
            if _is_lost(exc):
                raise ThreadLostError(str(exc), status=exc.status, code=exc.code) from exc
            raise
        # the conversation holds what the model has thought
        return replace(answer, opaque="")

    async def publish(self, definition: Definition) -> None:
        """Nothing: every request says who the assistant is."""

    def mark_unsupported(self, reason: str) -> None:
        """The server has no conversations."""
        self._provider.mark_unsupported(PATH, reason, advice="OPENAI_API_PROTOCOL=responses")

    async def delete(self, thread_id: str) -> None:
        """Delete the conversation; one that is gone already is deleted."""
        await self._provider.delete(PATH, thread_id)


def _is_lost(exc: ModelRefusedError) -> bool:
    if exc.status == 404:
        # a 404 may be the model's instead of the conversation's
        return exc.code != "model_not_found"
    words = str(exc).lower()
    return exc.status == 400 and any(some in words for some in _STUCK)
