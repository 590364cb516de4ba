"""The Chat Completions protocol, which every compatible provider speaks.

One call of `complete` is one attempt; `router` retries.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from ..errors import ModelUnavailableError
from ..model import ModelAnswer, ModelRequest, TextSink, ignore_text
from ..providers.provider import Provider
from ..providers.quirks import Quirks
from ..providers.refused_fields import ask_without_refused
from ..providers.request_fields import STREAM
from ..providers.sse import SSE, events_of_body
from .answer import AnswerReader
from .request import request_body, streaming

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
        body = request_body(request.models[0], request, self._quirks, provider=self._provider.name)
        if on_text is not None:
            body = streaming(body, self._quirks)
        tools = frozenset(tool.name for tool in request.tools)
        return await ask_without_refused(
            self._provider, body, lambda asked: self._ask(asked, tools, on_text or ignore_text)
        )

    async def _ask(self, body: Mapping[str, Any], tools: Collection[str], on_text: TextSink) -> ModelAnswer:
        reader = AnswerReader(self._provider.name, body["model"], self._quirks, tools=tools)
        if STREAM in body:
            async with self._provider.stream(PATH, body) as events:
                await _read_all(events, reader, on_text)
        else:
            for event in events_of_body(await self._provider.request("POST", PATH, body)):
                reader.read(event.data, event=event.event)
        answer = reader.answer()
        # shown in steps: the last one may be missing
        if answer.text != reader.shown:
            on_text(answer.text)
        return answer


async def _read_all(events: AsyncIterator[SSE], reader: AnswerReader, on_text: TextSink) -> None:
    """Read to the end; of an answer that is complete, what follows soon.

    That is the usage as a rule. Some servers say too early that they have finished, and go on.
    """
    loop, size = asyncio.get_running_loop(), 0
    try:
        async with asyncio.timeout(None) as limit:
            async for event in events:
                reader.read(event.data, event=event.event)
                reader.show(on_text)
                if reader.ended:
                    break
                if not reader.complete:  # the server named an end, and began another choice
                    limit.reschedule(None)
                elif limit.when() is None or reader.size > size:
                    limit.reschedule(loop.time() + USAGE_WAIT)
                size = reader.size
    except (TimeoutError, ModelUnavailableError):
        if not reader.complete:
            raise
