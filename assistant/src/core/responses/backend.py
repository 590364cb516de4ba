"""The Responses protocol over one provider's connection.

`ask` is one request and its answer, streamed or not. `ResponsesBackend` is the stateless use of it:
the history is sent along, nothing is stored at the provider, and what the model has thought in a round
of tool calls goes back to it encrypted.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from ..errors import CutAnswerError, ModelRefusedError
from ..model import ModelAnswer, ModelRequest, TextSink, ignore_text
from ..providers import bounds
from ..providers.provider import Provider
from ..providers.refusals import classify_error_body, find_error
from ..providers.refused_fields import ask_without_refused
from ..providers.request_fields import STREAM
from ..providers.sse import SSE, events_of_body
from ..wire.parsing import decode_json, read_text
from ..wire.text_collector import TextCollector
from .answer import Response, answer_of, parse_response
from .request import input_items, response_body

PATH = "/responses"

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_REASONING = {"include": ["reasoning.encrypted_content"]}
_NO_REASONING = "encrypted content"
"""In the refusal of models that do not reason: "Encrypted content is not supported with this model"."""


class ResponsesBackend:
    """Implements `ModelBackend` for one provider; asks `request.models[0]` only, once."""

    def __init__(self, provider: Provider, *, strict: bool = True) -> None:
        self._provider = provider
        self._strict = strict
        self._without_reasoning: set[str] = set()

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        model = request.models[0]
        items = input_items(request.messages, model=f"{self._provider.name}/{model}")
        body = response_body(model, request, items, strict=self._strict) | {"store": False}
        tools = frozenset(tool.name for tool in request.tools)
        if model not in self._without_reasoning:
            try:
                return await ask(self._provider, body | _REASONING, on_text, tools=tools)
            except ModelRefusedError as exc:
                if _NO_REASONING not in str(exc).lower():
                    raise
                # remembered for the process: the model will not learn to reason
                self._without_reasoning.add(model)
        return await ask(self._provider, body, on_text, tools=tools)


async def ask(
    provider: Provider,
    body: Mapping[str, Any],
    on_text: TextSink | None,
    *,
    tools: Collection[str] | None = None,
) -> ModelAnswer:
    """The answer to one request; with `on_text` it is streamed.

    `tools` are the names of calls that may stand in the text: none where the provider keeps the conversation,
    for there they were no calls.

    Raises:
        ModelUnavailableError: as `Provider.request` and `Provider.stream`.
        ModelRefusedError: likewise.
        BadAnswerError: no response object, or no answer in it.
        CutAnswerError: a stream without its last event.
    """
    asked = body if on_text is None else {**body, STREAM: True}
    sink = on_text or ignore_text
    return await ask_without_refused(provider, asked, lambda taken: _ask(provider, taken, sink, tools))


async def _ask(
    provider: Provider, body: Mapping[str, Any], on_text: TextSink, tools: Collection[str] | None
) -> ModelAnswer:
    text = TextCollector(tools)
    if STREAM in body:
        async with provider.stream(PATH, body) as events:
            response = await _read_stream(events, text, on_text)
    else:
        events = _events_of(await provider.request("POST", PATH, body))
        response = await _read_stream(events, text, ignore_text)
    answer = answer_of(response, model=body["model"], provider=provider.name, tools=tools)
    if answer.text != text.shown:
        on_text(answer.text)
    return answer


async def _events_of(body: bytes) -> AsyncIterator[SSE]:
    for event in events_of_body(body):
        yield event


async def _read_stream(events: AsyncIterator[SSE], text: TextCollector, on_text: TextSink) -> Response:
    """Reads to the event that ends the response: a connection may end at any time, without an error."""
    items: list[Any] = []
    size = 0
    async for raw in events:
        if raw.whole:
            return parse_response(decode_json(raw.data))
        event = _parse_event(raw.data)
        match event.get("type") or raw.event:
            case "response.output_text.delta" | "response.refusal.delta":
                text.add(read_text(event.get("delta")))
                text.show(on_text)
            case "response.output_item.added" if text.size:
                text.add("\n\n")
            case "response.output_item.done":
                # some servers leave the output out of the last event
                items.append(event.get("item"))
                size += len(raw.data)
            case kind if kind in _TERMINAL:
                said = [{"type": "message", "content": text.raw()}]
                return _fill_output(kind, event.get("response"), items or said)
            case "error":
                raise find_error(event) or classify_error_body(event, status=None)
            case _ if (error := find_error(event)) is not None:
                raise error
        bounds.check_size(text.size, bounds.TEXT, "characters")
        bounds.check_size(size, bounds.BODY, "bytes")
    raise CutAnswerError("the stream ended before the response did")


def _fill_output(kind: str, ended: object, items: list[Any]) -> Response:
    """The response in the last event, of this `kind`; some servers leave its output to the events before."""
    state = kind.removeprefix("response.")
    response = dict(ended) if isinstance(ended, dict) else {"status": state}
    if response.get("status"):
        response["status"] = state  # some repeat that of the beginning
    if state != "failed":
        response["output"] = response.get("output") or items
    return parse_response(response)


def _parse_event(data: bytes) -> dict[str, Any]:
    """The object in an event; empty where there is another thing in it, such as null or `[DONE]`."""
    event = decode_json(data) if data.lstrip().startswith(b"{") else {}
    return event if isinstance(event, dict) else {}
