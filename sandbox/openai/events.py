"""Server-sent events."""

import asyncio
import json
from collections.abc import Sequence

from aiohttp import web

from ..faults import Fault, break_off
from ..model.conversation import JsonObject
from .pace import Pace

DONE = b"data: [DONE]\n\n"
"""Chat Completions end with it."""


def event(data: JsonObject, name: str | None = None) -> bytes:
    """One event on the wire."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


async def stream(
    request: web.Request, events: Sequence[bytes], *, pace: Pace, broken: Fault | None, request_id: str
) -> web.StreamResponse:
    """Send `events` at the model's pace; a `broken` stream never gets to its last one."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "x-request-id": request_id})
    await response.prepare(request)
    for piece in events if broken is None else events[: broken.pieces_of(len(events))]:
        await response.write(piece)
        if pace.chunk:
            await asyncio.sleep(pace.chunk)
    if broken is None:
        await response.write_eof()
    else:
        await break_off(broken, request, response)
    return response
