"""Which of OpenAI's protocols a server speaks, as its refusals tell; kept for the process (`Provider.lacks`).

Compatible servers all have Chat Completions; of the rest many have none, or a part.
"""

from service_kit.logging import get_logger

from . import responses
from .errors import ModelRefusedError
from .model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from .provider import Provider
from .responses import ResponsesBackend

log = get_logger(__name__)


class ResponsesOrChat:
    """Implements `ModelBackend` for one provider: Responses, or `chat` where it turns out to lack them."""

    def __init__(self, provider: Provider, chat: ModelBackend, *, strict: bool) -> None:
        self._provider = provider
        self._responses = ResponsesBackend(provider, strict=strict)
        self._chat = chat

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        if responses.PATH in self._provider.lacks:
            return await self._chat.complete(request, on_text=on_text)
        try:
            return await self._responses.complete(request, on_text=on_text)
        except ModelRefusedError as exc:
            if not is_unknown_path(exc):
                raise
            reason = str(exc)
        answer = await self._chat.complete(request, on_text=on_text)
        # only now it is sure that the protocol was to blame, not the model or a gateway with nobody behind
        note_lack(self._provider, responses.PATH, reason, advice="assistant_type llm for these assistants")
        return answer


def is_unknown_path(refusal: ModelRefusedError) -> bool:
    """Whether the server may not know the path at all; a model that it does not know it names."""
    return refusal.status in {404, 405} and "model" not in str(refusal).lower()


def note_lack(provider: Provider, path: str, reason: str, *, advice: str) -> None:
    """The provider has nothing at `path`: nobody asks there again; `advice` is what to set instead."""
    if path not in provider.lacks:
        provider.lacks.add(path)
        log.warning("protocol_not_spoken", provider=provider.name, path=path, reason=reason, advice=advice)
