"""The Chat Completions protocol, which every compatible provider speaks.

One call of `complete` is one attempt; `router` retries.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from .chat_answer import AnswerReader
from .chat_wire import request_body, streaming
from .errors import ModelUnavailableError
from .model import ModelAnswer, ModelRequest, TextSink
from .provider import Provider
from .quirks import Quirks
from .sse import SSE

PATH = "/chat/completions"
USAGE_WAIT = 2.0
"""Seconds for the usage to follow a complete answer: it is not worth losing the answer."""


class ChatCompletionsBackend:
    """Implements `ModelBackend` for one provider; asks `request.models[0]` only, once."""

    def __init__(self, provider: Provider, quirks: Quirks | None = None) -> None:
        self._provider = provider
        self._quirks = quirks or Quirks()

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        model = request.models[0]
        body = request_body(model, request, self._quirks, provider=self._provider.name)
        reader = AnswerReader(self._provider.name, model, self._quirks)
        if on_text is None:
            reader.read(await self._provider.request("POST", PATH, body))
        else:
            async with self._provider.stream(PATH, streaming(body, self._quirks)) as events:
                await _read_all(events, reader, on_text)
        return reader.answer()


async def _read_all(events: AsyncIterator[SSE], reader: AnswerReader, on_text: TextSink) -> None:
    told = ""
    async for event in events:
        reader.read(event.data)
        if (text := reader.text) != told:
            told = text
            on_text(text)
        if reader.complete:
            break
    if reader.complete and not reader.ended:
        with suppress(TimeoutError, ModelUnavailableError):
            async with asyncio.timeout(USAGE_WAIT):
                async for event in events:
                    reader.read(event.data)
