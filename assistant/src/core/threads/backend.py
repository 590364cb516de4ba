"""The classic Assistants protocol over one provider's connection: threads, messages, runs.

OpenAI itself removed it on 2026-08-26; servers that kept it still speak it. A run asks for tools with
`requires_action` and goes on with `submit_tool_outputs`; its id stands in `ModelAnswer.opaque` between
the two. A thread takes no message while a run of it is active: such a run is one of ours whose end
nobody waited for, and is cancelled.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from ..errors import (
    CutAnswerError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    ThreadLostError,
)
from ..model import Message, ModelAnswer, ModelRequest, TextSink
from ..providers import bounds
from ..providers.provider import Provider
from ..providers.refusals import classify_error_body
from ..providers.sse import SSE
from ..thread_backend import Definition, Identity, delete_unless_complete
from ..wire.parsing import Made, decode_json, parse_as, validate_as
from ..wire.text_collector import TextCollector
from .answer import MessageDelta, Messages, ThreadRun, ThreadRuns, answer_of_run, parse_run
from .remote_assistants import RemoteAssistants
from .request import BETA, open_run, run_body, thread_messages, tool_outputs

T = TypeVar("T")

PATH = "/threads"
PREFIX = "thread_"
MESSAGES_A_REQUEST = 32
FIRST_LOOK, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two looks at a run that goes on."""
CANCEL_WAIT = 5.0
"""Seconds for a cancelled run to let its thread go; a user waits meanwhile."""

_RUN_IS_ACTIVE = ("while a run", "already has an active run")
"""In the refusals: "Can't add messages to thread_… while a run run_… is active", and of another run
"Thread thread_… already has an active run run_…"."""
_RUN_EVENT = "thread.run."


class RunsBackend:
    """Implements `ThreadBackend` for one assistant at one provider.

    `run_timeout` is in seconds.
    """

    def __init__(
        self,
        provider: Provider,
        remote: RemoteAssistants,
        identity: Identity,
        *,
        run_timeout: float,
    ) -> None:
        self._provider = provider
        self._remote = remote
        self._identity = identity
        self._run_timeout = run_timeout

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider.name

    async def create(self, messages: Sequence[Message]) -> str:
        """The id of a new thread that holds `messages`."""
        sent = thread_messages(messages)
        first, rest = sent[:MESSAGES_A_REQUEST], sent[MESSAGES_A_REQUEST:]
        payload = await self._post(PATH, {"messages": first} if first else {})
        thread_id = parse_as(Made, payload, "a thread").id
        async with delete_unless_complete(thread_id, self.delete):
            for message in rest:
                await self._post(f"{PATH}/{thread_id}/messages", message)
        return thread_id

    async def ask(
        self,
        thread_id: str,
        request: ModelRequest,
        new: Sequence[Message],
        *,
        run: str,
        on_text: TextSink | None,
    ) -> ModelAnswer:
        """The answer of a run: the open one goes on with the results in `new`, or a new one begins."""
        try:
            if run_id := open_run(run):
                ended = await self._submit(thread_id, run_id, new, on_text)
                if ended.status == "requires_action" and request.tool_choice == "none":
                    # a run keeps the tool choice it was begun with
                    await self._cancel(thread_id, ended.id)
                    with _hide_rate_limit():
                        ended = await self._begin(thread_id, request, on_text)
            else:
                with _hide_rate_limit():
                    await self._add(thread_id, new)
                    ended = await self._begin(thread_id, request, on_text)
            text = "" if ended.status == "requires_action" else await self._text_of(thread_id, ended.id)
        except ModelRefusedError as exc:
            # the thread or the assistant is gone: the answer does not tell which, so both are made anew
            if exc.status == 404:
                await self._remote.forget(self._provider, self._identity)
                raise ThreadLostError(str(exc), status=404, code=exc.code) from exc
            raise
        answer = answer_of_run(ended, text, model=request.models[0], provider=self._provider.name)
        if on_text is not None and answer.text:
            on_text(answer.text)
        return answer

    async def publish(self, definition: Definition) -> None:
        """Change the assistant's object at the provider, or make it."""
        await self._remote.ensure(self._provider, self._identity, definition)

    def mark_unsupported(self, reason: str) -> None:
        """The server has no threads."""
        self._provider.mark_unsupported(PATH, reason, advice="OPENAI_API_PROTOCOL=conversations")

    async def delete(self, thread_id: str) -> None:
        """Delete the thread; one that is gone already is deleted."""
        await self._provider.delete(PATH, thread_id, headers=BETA)

    async def _assistant_id(self, request: ModelRequest) -> str:
        if request.tool_choice == "none":
            # the last answer forbids tools for its own run, not for the assistant
            known = await self._remote.find_id(self._provider, self._identity)
            if known is not None:
                return known
        definition = Definition(request.models[0], request.instructions, request.tools)
        return await self._remote.ensure(self._provider, self._identity, definition)

    async def _add(self, thread_id: str, new: Sequence[Message]) -> None:
        path = f"{PATH}/{thread_id}/messages"
        for message in thread_messages(new):
            await self._retry_without_active_run(thread_id, partial(self._post, path, message))

    async def _begin(self, thread_id: str, request: ModelRequest, on_text: TextSink | None) -> ThreadRun:
        body = run_body(await self._assistant_id(request), request)
        path = f"{PATH}/{thread_id}/runs"
        return await self._retry_without_active_run(
            thread_id, partial(self._run_to_end, thread_id, path, body, on_text)
        )

    async def _retry_without_active_run(self, thread_id: str, change: Callable[[], Awaitable[T]]) -> T:
        """What the change of the thread brings; where a run is in its way, that is cancelled first."""
        try:
            return await change()
        except ModelRefusedError as exc:
            if not any(words in str(exc) for words in _RUN_IS_ACTIVE):
                raise
        await self._cancel_active(thread_id)
        return await change()

    async def _submit(
        self, thread_id: str, run_id: str, new: Sequence[Message], on_text: TextSink | None
    ) -> ThreadRun:
        path = f"{PATH}/{thread_id}/runs/{run_id}/submit_tool_outputs"
        return await self._run_to_end(thread_id, path, tool_outputs(new), on_text)

    async def _run_to_end(
        self, thread_id: str, path: str, body: Mapping[str, Any], on_text: TextSink | None
    ) -> ThreadRun:
        """The run that the request begins or continues, when it has ended or wants tools."""
        if on_text is None:
            return await self._poll_to_end(thread_id, parse_run(await self._post(path, body)))
        async with self._provider.stream(path, {**body, "stream": True}, headers=BETA) as events:
            run = await _read_stream(events, on_text)
        return await self._poll_to_end(thread_id, run)

    async def _poll_to_end(self, thread_id: str, run: ThreadRun) -> ThreadRun:
        pause = FIRST_LOOK
        try:
            with _hide_rate_limit():
                async with asyncio.timeout(self._run_timeout):
                    while run.goes_on:
                        await asyncio.sleep(pause)
                        pause = min(pause * 1.5, LONGEST_PAUSE)
                        path = f"{PATH}/{thread_id}/runs/{run.id}"
                        run = parse_run(await self._provider.request("GET", path, headers=BETA))
        except TimeoutError as exc:
            await self._cancel(thread_id, run.id)
            msg = f"the run was still {run.status} after {self._run_timeout:g} s"
            raise ModelTimeoutError(msg) from exc
        return run

    async def _text_of(self, thread_id: str, run_id: str) -> str:
        path = f"{PATH}/{thread_id}/messages?run_id={run_id}&order=asc&limit=100"
        with _hide_rate_limit():
            payload = await self._provider.request("GET", path, headers=BETA)
            return parse_as(Messages, payload, "messages").text

    async def _cancel_active(self, thread_id: str) -> None:
        path = f"{PATH}/{thread_id}/runs?limit=20"
        runs = parse_as(ThreadRuns, await self._provider.request("GET", path, headers=BETA), "runs")
        for run in runs.data:
            if run.is_active:
                await self._cancel(thread_id, run.id)

    async def _cancel(self, thread_id: str, run_id: str) -> None:
        """Cancel the run and wait until it lets the thread go; one that has ended has."""
        path = f"{PATH}/{thread_id}/runs/{run_id}"
        with suppress(ModelError, TimeoutError):
            async with asyncio.timeout(CANCEL_WAIT):
                run = parse_run(await self._post(f"{path}/cancel", {}))
                while run.is_active:
                    await asyncio.sleep(FIRST_LOOK)
                    run = parse_run(await self._provider.request("GET", path, headers=BETA))

    async def _post(self, path: str, body: Mapping[str, Any]) -> bytes:
        return await self._provider.request("POST", path, body, headers=BETA)


@contextmanager
def _hide_rate_limit() -> Iterator[None]:
    """Around what changes the thread or follows a change: a limit of requests there is no harmless one."""
    try:
        yield
    except ModelUnavailableError as exc:
        if exc.status != 429:
            raise
        raise ModelUnavailableError(str(exc), retry_after=exc.retry_after) from exc


async def _read_stream(events: AsyncIterator[SSE], on_text: TextSink) -> ThreadRun:
    """Reads to the run's last event."""
    text = TextCollector()
    async for event in events:
        if event.event != "error" and not event.data.lstrip().startswith(b"{"):
            continue  # null, or the end of the stream
        if event.whole:
            return parse_run(event.data)
        if event.event == "thread.message.delta":
            text.add(validate_as(MessageDelta, decode_json(event.data), "a piece of a message").text)
            bounds.check_size(text.size, bounds.TEXT, "characters")
            text.show(on_text)
        elif event.event == "error":
            raise _error(event.data)
        elif event.event.startswith(_RUN_EVENT) and not event.event.startswith("thread.run.step."):
            run = parse_run(event.data)
            if not run.goes_on:
                return run
    raise CutAnswerError("the stream ended before the run did")


def _error(data: bytes) -> ModelError:
    """The error in an event, which a proxy may have written as plain text."""
    try:
        body: object = json.loads(data)
    except ValueError:
        body = data.decode("utf-8", "replace")
    return classify_error_body(body, status=None)
