"""Trouble on order: statuses, hanging, broken and slow answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

FOREVER = 3600.0
_LOOK_EVERY = 0.05


class Fault(BaseModel):
    """What goes wrong, and for which calls. A field that is left out matches every call."""

    model_config = ConfigDict(extra="forbid")

    target: Literal["openai", "telegram", "google", "weather"]
    kind: Literal["status", "hang", "disconnect", "garbage", "slow", "truncate", "stall", "fail"]
    method: str | None = Field(
        default=None,
        description="sendMessage, chat.completions, responses.create, …; `responses` means all of them.",
    )
    chat_id: int | None = Field(default=None, description="Telegram only.")
    model: str | None = Field(default=None, description="OpenAI only.")
    times: int | None = Field(default=None, ge=1, description="How often; None: until cleared.")
    status: int = Field(default=500, ge=400, le=599)
    retry_after: int | None = Field(default=None, ge=0)
    description: str | None = Field(default=None, description="The error's text instead of the usual one.")
    code: str | None = Field(default=None, description="OpenAI's error code, such as insufficient_quota.")
    seconds: float = Field(default=1.0, ge=0, description="How long `slow` waits; others if given.")
    after: bool = Field(default=False, description="The call takes effect first; only its answer is lost.")
    after_chunks: int | None = Field(
        default=None, ge=0, description="Events of a stream before it breaks; None: half of them."
    )

    @property
    def breaks_streams(self) -> bool:
        """Whether a stream begins well and breaks in the middle."""
        return self.kind in {"truncate", "stall"} or (self.kind == "disconnect" and self.after)

    @property
    def takes_effect(self) -> bool:
        """Whether a call whose stream breaks is done all the same."""
        return self.after or self.kind == "truncate"

    @property
    def silence(self) -> float:
        """Seconds without an answer."""
        return self.seconds if "seconds" in self.model_fields_set else FOREVER

    def pieces_of(self, whole: int) -> int:
        """How many of a stream's `whole` events arrive; never the last."""
        return min(whole // 2 if self.after_chunks is None else self.after_chunks, whole - 1)

    def concerns(self, method: str) -> bool:
        """Whether `method` is the one, or among those, that this fault is for."""
        if self.method is None:
            return True
        wanted, called = self.method.lower(), method.lower()
        return called == wanted or called.startswith(f"{wanted}.")


class FaultBoard:
    """The faults that are in force, in the order in which they were put."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults.append(fault)

    def clear(self) -> None:
        """All is well again."""
        self._faults.clear()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is in force."""
        return tuple(self._faults)

    def take(
        self, target: str, method: str, *, chat_id: int | None = None, model: str | None = None
    ) -> Fault | None:
        """The first fault that this call meets; counts down its `times`."""
        for number, fault in enumerate(self._faults):
            if (
                fault.target == target
                and fault.concerns(method)
                and (fault.chat_id is None or fault.chat_id == chat_id)
                and (fault.model is None or fault.model == model)
            ):
                # counted before the call is done: two calls at once do not both meet the last one
                if fault.times is not None:
                    left = fault.times - 1
                    if left:
                        self._faults[number] = fault.model_copy(update={"times": left})
                    else:
                        del self._faults[number]
                return fault
        return None


async def apply_fault(
    fault: Fault,
    request: web.Request,
    proceed: Callable[[], Awaitable[web.StreamResponse]],
    refuse: Callable[[Fault], web.Response],
) -> web.StreamResponse:
    """Answer `request` as `fault` says; `proceed` does the call, `refuse` makes the target's error."""
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return await proceed()
    whole = await proceed() if fault.after or fault.kind == "truncate" else None
    match fault.kind:
        case "status" | "fail":
            return refuse(fault)
        case "garbage":
            return web.Response(
                text="<html><body><h1>502 Bad Gateway</h1></body></html>", content_type="text/html"
            )
        case "truncate" if isinstance(whole, web.Response):
            return await _send_half(request, whole)
        case "hang" | "stall":
            await silence(request, fault.silence)
    cut(request)
    return web.Response()


async def _send_half(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, hang up."""
    body = whole.body if isinstance(whole.body, bytes) else b"{}"
    response = web.StreamResponse(status=whole.status)
    response.content_type = whole.content_type
    # the announced length tells the client that something is missing
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    cut(request)
    return response


async def break_off(fault: Fault, request: web.Request, response: web.StreamResponse) -> None:
    """End a stream that `fault` broke."""
    if fault.kind == "truncate":
        await response.write_eof()
        return
    if fault.kind == "stall":
        await silence(request, fault.silence)
    cut(request)


async def silence(request: web.Request, seconds: float) -> None:
    """Say nothing for `seconds`, or until the other side hangs up."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    # a handler is not told that its client left: it has to look
    while (left := end - loop.time()) > 0 and not _is_closed(request):  # noqa: ASYNC110 - see above
        await asyncio.sleep(min(left, _LOOK_EVERY))


def _is_closed(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def cut(request: web.Request) -> None:
    """Hang up without an answer."""
    if request.transport is not None:
        request.transport.close()
