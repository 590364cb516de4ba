"""What all routers share: how bodies are read, and which refusals the documents show."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from service_kit.contracts.errors import ErrorBody

from .errors.api import BadRequestError

MAX_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_OPENING = frozenset(b"[{")

Responses = dict[int | str, dict[str, Any]]


def _refusal(status: int, description: str) -> Responses:
    return {status: {"model": ErrorBody, "description": description}}


ALWAYS: Responses = {
    **_refusal(401, "The key is missing or not known."),
    **_refusal(403, "The key does not reach so far."),
    **_refusal(422, "A field, parameter or filter is wrong; `details` names each."),
    **_refusal(500, "A defect; the log has more under `incident_id`."),
    **_refusal(503, "The database is away or busy; try again."),
}
BODY: Responses = {
    **_refusal(400, "The body cannot be read."),
    **_refusal(413, "The body is larger than 1 MiB."),
}
MISSING = _refusal(404, "There is no such row.")
CLASH = _refusal(409, "It clashes with what is there; the sentence says with what.")
TOTAL: Responses = {
    200: {
        "headers": {
            "X-Total-Count": {
                "description": "Rows on all pages.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    }
}


class BodyRoute(APIRoute):
    """Refuses a body that nests too deeply before anything recursive sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the look at the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def shallow(request: Request) -> Response:
            if nests_deeper(await request.body(), MAX_DEPTH):
                msg = f"The body nests deeper than {MAX_DEPTH} levels."
                raise BadRequestError(msg)
            return await handle(request)

        return shallow


def nests_deeper(body: bytes, limit: int) -> bool:
    """Whether the JSON in `body` has more than `limit` brackets open at once."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket.group()[0] in _OPENING else -1
        if depth > limit:
            return True
    return False


def router(prefix: str, tag: str) -> APIRouter:
    """A router whose routes read bodies safely and document their refusals."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=BodyRoute, responses=ALWAYS)
