"""The classic protocol (`OpenAI-Beta: assistants=v2`): assistants, threads, messages, runs.

OpenAI switched it off on 2026-08-26; servers that kept it answer as this one does.
"""

import math
import time

from aiohttp import web

from ...faults import Fault
from ...model.conversation import JsonObject
from ..errors import InvalidRequestError
from ..events import stream
from ..front import Front, Job, Plain, Prepare
from ..lru import LRUStore
from ..pace import Pace
from ..pages import paginate
from .assistants import Assistants
from .run import Run
from .run_events import closing, opening
from .threads import Thread

_THREADS_KEPT = 10_000
_RUNS_KEPT = 20_000


class ClassicApi:
    """All of it, in memory."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._assistants = Assistants()
        self._threads: LRUStore[Thread] = LRUStore(_THREADS_KEPT, "No thread found with id '{}'.".format)
        self._runs: LRUStore[Run] = LRUStore(_RUNS_KEPT, "No run found with id '{}'.".format)

    def clear(self) -> None:
        """Forget all."""
        for store in (self._assistants, self._threads, self._runs):
            store.clear()

    def add_routes(self, app: web.Application, front: Front) -> None:
        """The paths below `/assistants` and `/threads`."""
        one = "/threads/{thread}"
        messages, runs = f"{one}/messages", f"{one}/runs"
        plain: tuple[tuple[str, str, str, Plain], ...] = (
            *self._assistants.routes(),
            ("POST", "/threads", "threads.create", self._create_thread),
            ("GET", one, "threads.retrieve", self._retrieve_thread),
            ("DELETE", one, "threads.delete", self._delete_thread),
            ("POST", messages, "messages.create", self._create_message),
            ("GET", messages, "messages.list", self._list_messages),
            ("GET", runs, "runs.list", self._list_runs),
            ("GET", f"{runs}/{{run}}", "runs.retrieve", self._retrieve_run),
            ("POST", f"{runs}/{{run}}/cancel", "runs.cancel", self._cancel_run),
        )
        for verb, path, method, do in plain:
            front.plain_route(app, verb, path, method, _plain_with_header(do))
        front.model_route(app, runs, "runs.create", _with_header(self._create_run))
        front.model_route(
            app, f"{runs}/{{run}}/submit_tool_outputs", "runs.submit_tool_outputs", _with_header(self._submit)
        )

    def _create_thread(self, _request: web.Request, body: JsonObject) -> JsonObject:
        made = Thread.of(body)
        self._threads.put(made.id, made)
        return made.as_json()

    def _retrieve_thread(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return self._thread_of(request).as_json()

    def _delete_thread(self, request: web.Request, _body: JsonObject) -> JsonObject:
        dropped = self._threads.drop(request.match_info["thread"])
        return {"id": dropped.id, "object": "thread.deleted", "deleted": True}

    def _create_message(self, request: web.Request, body: JsonObject) -> JsonObject:
        thread = self._thread_of(request)
        active = self._active(thread)
        if active is not None:
            raise InvalidRequestError(f"Can't add messages to {thread.id} while a run {active.id} is active.")
        return thread.add_request(body)

    def _list_messages(self, request: web.Request, _body: JsonObject) -> JsonObject:
        thread = self._thread_of(request)
        self._active(thread)
        wanted = request.query.get("run_id")
        return paginate((one for one in thread.messages.values() if wanted in (None, one["run_id"])), request)

    def _list_runs(self, request: web.Request, _body: JsonObject) -> JsonObject:
        thread = self._thread_of(request)
        self._active(thread)
        runs = (self._runs.find(number) for number in thread.runs)
        return paginate((run.as_json() for run in runs if run is not None), request)

    def _retrieve_run(self, request: web.Request, _body: JsonObject) -> JsonObject:
        return self._run_of(request).as_json()

    def _cancel_run(self, request: web.Request, _body: JsonObject) -> JsonObject:
        run = self._run_of(request)
        run.cancel()
        return run.as_json()

    def _create_run(self, request: web.Request, body: JsonObject) -> Job:
        thread = self._thread_of(request)
        assistant = self._assistants.get(str(body.get("assistant_id")))

        async def perform(broken: Fault | None) -> web.StreamResponse:
            active = self._active(thread)
            if active is not None:
                raise InvalidRequestError(f"Thread {thread.id} already has an active run {active.id}.")
            fails = broken is not None and broken.kind == "fail"
            run = Run.of(thread, assistant, body, due=self._due(), fails=fails)
            for message in body.get("additional_messages") or []:
                thread.add_request(message)
            thread.runs.append(run.id)
            self._runs.put(run.id, run)
            return await self._go_on(request, run, body, broken)

        model = str(body.get("model") or assistant["model"])
        return Job(perform, model=model, streamed=body.get("stream") is True, may_fail=True)

    def _submit(self, request: web.Request, body: JsonObject) -> Job:
        run = self._run_of(request)

        async def perform(broken: Fault | None) -> web.StreamResponse:
            run.submit(body, due=self._due())
            run.fails = broken is not None and broken.kind == "fail"
            return await self._go_on(request, run, body, broken)

        return Job(perform, model=run.given["model"], streamed=body.get("stream") is True, may_fail=True)

    async def _go_on(
        self, request: web.Request, run: Run, body: JsonObject, broken: Fault | None
    ) -> web.StreamResponse:
        """Answer with the queued run, or with its events; a run ends well even where its stream does not."""
        if body.get("stream") is not True:
            return web.json_response(run.as_json())
        # nobody who looks at the run meanwhile may move it on
        run.due = math.inf
        events = opening(run)
        await self._pace.think()
        message = run.finish() if run.status == "in_progress" else None
        run.advance()
        events += closing(run, message)
        return await stream(
            request,
            events,
            pace=self._pace,
            broken=broken if broken is not None and broken.breaks_streams else None,
            request_id=run.id,
        )

    def _active(self, thread: Thread) -> Run | None:
        """The run that the thread waits for, moved on as far as time allows."""
        run = self._runs.find(thread.runs[-1]) if thread.runs else None
        if run is None:
            return None
        run.advance()
        return run if run.is_active else None

    def _due(self) -> float:
        return time.monotonic() + self._pace.seconds()

    def _thread_of(self, request: web.Request) -> Thread:
        return self._threads.get(request.match_info["thread"])

    def _run_of(self, request: web.Request) -> Run:
        self._thread_of(request)
        run = self._runs.get(request.match_info["run"])
        run.advance()
        return run


def _with_header(prepare: Prepare) -> Prepare:
    """Refuse those who did not ask for this protocol."""

    def check(request: web.Request, body: JsonObject) -> Job:
        _check_header(request)
        return prepare(request, body)

    return check


def _plain_with_header(do: Plain) -> Plain:
    def check(request: web.Request, body: JsonObject) -> JsonObject:
        _check_header(request)
        return do(request, body)

    return check


def _check_header(request: web.Request) -> None:
    if "assistants=v2" not in request.headers.get("OpenAI-Beta", ""):
        raise InvalidRequestError(
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by "
            "setting the header 'OpenAI-Beta: assistants=v2'.",
            code="invalid_beta",
        )
