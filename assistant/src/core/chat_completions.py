"""The Chat Completions protocol, which every compatible provider speaks.

One call of `complete` is one attempt; `router` retries.
"""

from .chat_wire import parse_answer, request_body
from .model import ModelAnswer, ModelRequest, TextSink
from .provider import Provider

PATH = "/chat/completions"


class ChatCompletionsBackend:
    """Implements `ModelBackend` for one provider; asks `request.models[0]` only, once."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        model = request.models[0]
        payload = await self._provider.request("POST", PATH, request_body(model, request))
        answer = parse_answer(payload, model)
        if on_text is not None and answer.text:
            on_text(answer.text)
        return answer
