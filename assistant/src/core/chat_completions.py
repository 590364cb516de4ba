"""The Chat Completions protocol, which every compatible provider speaks, through the official client.

One call of `complete` is one attempt; `router` retries. The client's `post` is used instead of
`chat.completions.create`: the latter transforms every message through its typed dictionaries and
builds the answer as pydantic objects, 6 ms of processor time a call against 0.9 ms (openai 3.54,
20 messages, 3 tools). Keys, addresses, timeouts and error classes are the client's. Its aiohttp
transport is used because httpx2's pool looks at every connection at every request: 2.8 ms a call with
200 connections against 1.1 ms.
"""

import asyncio
import json
from typing import Any

import httpx2
import openai

from .chat_wire import parse_answer, request_body
from .errors import BadAnswerError, ContextOverflowError, ModelRefusedError, ModelUnavailableError
from .model import ModelAnswer, ModelRequest, TextSink

KEEPALIVE = 15.0
"""Seconds that an idle connection is kept; below what providers' load balancers allow."""

_RETRYABLE = frozenset({408, 409, 425, 429})
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_OVERFLOW_WORDS = (
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "too many tokens",
)
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def connect_provider(
    *,
    base_url: str,
    api_key: str | None,
    timeout: float,
    connect_timeout: float,
    max_connections: int,
) -> openai.AsyncOpenAI:
    """A client with one connection pool, for the service's lifetime; close it with `close()`."""
    limits = httpx2.Limits(max_connections=max_connections, keepalive_expiry=KEEPALIVE)
    timeouts = httpx2.Timeout(timeout, connect=connect_timeout)
    return openai.AsyncOpenAI(
        # the client insists on a key; servers that need none ignore it
        api_key=api_key or "none",
        base_url=base_url,
        timeout=timeouts,
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(limits=limits, timeout=timeouts),
    )


class ChatCompletionsBackend:
    """Implements `ModelBackend` for one provider; asks `request.models[0]` only, once."""

    def __init__(self, client: openai.AsyncOpenAI, *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        model = request.models[0]
        payload = await self._post(request_body(model, request))
        answer = parse_answer(payload, model)
        if on_text is not None and answer.text:
            on_text(answer.text)
        return answer

    async def _post(self, body: dict[str, Any]) -> bytes:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            # the client's own timeout is per read: a server that drips bytes would hold us for ever
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    "/chat/completions",
                    content=content,
                    options={"headers": {"Content-Type": "application/json"}},
                    cast_to=httpx2.Response,
                )
        except TimeoutError as exc:
            msg = f"no answer in {self._timeout:g} s"
            raise ModelUnavailableError(msg) from exc
        except openai.APIConnectionError as exc:  # its subclass APITimeoutError too
            msg = f"{type(exc).__name__}: {type(exc.__cause__).__name__}"
            raise ModelUnavailableError(msg) from exc
        except openai.APIStatusError as exc:
            raise _refusal(exc) from exc
        except httpx2.TransportError as exc:
            # the client closes and reads an error's body outside its own mapping
            raise ModelUnavailableError(type(exc).__name__) from exc
        except openai.APIError as exc:
            msg = f"{type(exc).__name__}: {exc.message}"
            raise BadAnswerError(msg) from exc
        return response.content


def _refusal(exc: openai.APIStatusError) -> ModelUnavailableError | ModelRefusedError:
    """One table from the wire to our errors."""
    status = exc.status_code
    text = f"{status} {exc.code or ''}: {_message(exc)}"
    if status == 429 and exc.code in _QUOTA_CODES:
        return ModelRefusedError(text)
    if status in _RETRYABLE or status >= 500:
        return ModelUnavailableError(text, retry_after=_retry_after(exc.response.headers))
    if status in {400, 413} and _is_overflow(exc):
        return ContextOverflowError(text)
    return ModelRefusedError(text)


def _message(exc: openai.APIStatusError) -> str:
    return " ".join(exc.message.split())[:300]


def _is_overflow(exc: openai.APIStatusError) -> bool:
    words = exc.message.lower()
    return exc.code in _OVERFLOW_CODES or any(some in words for some in _OVERFLOW_WORDS)


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds; a date (RFC 9110 10.2.3 allows it, no LLM provider sends it) counts as nothing said."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 1e6:
            return seconds
    return None
