"""Responses where a server speaks them, Chat Completions where its refusals tell that it does not.

`Provider.unsupported_paths` keeps that for the process. Compatible servers all have Chat Completions; of the
rest many have none, or a part.
"""

from ..errors import ModelRefusedError
from ..model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from ..providers.provider import Provider
from ..providers.refusals import is_unknown_path
from ..responses import backend as responses
from ..responses.backend import ResponsesBackend


class ResponsesOrChat:
    """Implements `ModelBackend` for one provider: Responses, or `chat` where it turns out to lack them."""

    def __init__(self, provider: Provider, chat: ModelBackend, *, strict: bool) -> None:
        self._provider = provider
        self._responses = ResponsesBackend(provider, strict=strict)
        self._chat = chat

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        if responses.PATH in self._provider.unsupported_paths:
            return await self._chat.complete(request, on_text=on_text)
        try:
            return await self._responses.complete(request, on_text=on_text)
        except ModelRefusedError as exc:
            if not is_unknown_path(exc):
                raise
            reason = str(exc)
        answer = await self._chat.complete(request, on_text=on_text)
        # only now it is sure that the protocol was to blame, not the model or a gateway with nobody behind
        self._provider.mark_unsupported(
            responses.PATH, reason, advice="assistant_type llm for these assistants"
        )
        return answer
