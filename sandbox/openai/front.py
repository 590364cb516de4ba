"""The front of `/openai/v1`: counts a call, asks for the key, reads the body, lets faults happen."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from ..faults import Fault, FaultBoard, apply_fault
from ..model.conversation import JsonObject
from ..stats import Stats
from .checks import read_object
from .errors import ApiError, error_of

PREFIX = "/openai/v1"
_REQUESTS_KEPT = 100


@dataclass(frozen=True, slots=True)
class Job:
    """A checked call that waits to be done.

    `perform` is given the fault that breaks its stream or makes the model fail, and nothing otherwise;
    it may raise ApiError.
    """

    perform: Callable[[Fault | None], Awaitable[web.StreamResponse]]
    model: str | None = None
    streamed: bool = False
    may_fail: bool = False
    """Whether the protocol can say that the model failed, in a regular answer."""


Prepare = Callable[[web.Request, JsonObject], Job]
"""Checks a call; must change nothing, for a fault may forbid it. May raise ApiError."""
Plain = Callable[[web.Request, JsonObject], JsonObject]
"""Does a call that asks no model, and answers at once. May raise ApiError."""


class Front:
    """Any key is welcome, but there must be one."""

    def __init__(self, stats: Stats, faults: FaultBoard) -> None:
        self._stats = stats
        self._faults = faults
        self.requests: deque[bytes] = deque(maxlen=_REQUESTS_KEPT)
        """The newest bodies of calls that ask the model, for tests."""

    def model_route(self, app: web.Application, path: str, method: str, prepare: Prepare) -> None:
        """A POST that asks the model; `method` is the name that faults and counters know it by."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, method, prepare, asks_model=True)

        app.router.add_post(PREFIX + path, handle)

    def plain_route(self, app: web.Application, verb: str, path: str, method: str, do: Plain) -> None:
        """A call that only reads or changes what is kept."""

        def prepare(request: web.Request, body: JsonObject) -> Job:
            async def perform(_broken: Fault | None) -> web.StreamResponse:
                return web.json_response(do(request, body))

            return Job(perform)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, method, prepare, asks_model=False)

        app.router.add_route(verb, PREFIX + path, handle)

    async def _serve(
        self, request: web.Request, method: str, prepare: Prepare, *, asks_model: bool
    ) -> web.StreamResponse:
        self._stats.count("openai", method)
        try:
            _check_key(request)
            raw = await request.read()
            # noted before it is checked: tests look at refused requests as well
            if asks_model:
                self.requests.append(raw)
            return await self._perform(request, method, prepare(request, read_object(raw)))
        except ApiError as error:
            return error.response()

    async def _perform(self, request: web.Request, method: str, job: Job) -> web.StreamResponse:
        fault = self._faults.take("openai", method, model=job.model)
        if fault is None:
            return await job.perform(None)
        self._stats.faults[f"openai.{fault.kind}"] += 1
        # these two faults lie inside of an answer that begins well: only the call itself can make them
        if (job.streamed and fault.breaks_streams) or (job.may_fail and fault.kind == "fail"):
            return await job.perform(fault)
        return await apply_fault(fault, request, lambda: job.perform(None), error_of)


def _check_key(request: web.Request) -> None:
    scheme, _space, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
