"""What all routers share: how bodies are read, and which refusals the documents show."""

import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service_kit.contracts.errors import ErrorBody

from .errors.api import BadRequestError, InvalidError, MediaTypeError

MAX_DEPTH = 64
# possessive quantifiers: a body full of quotes must not take quadratic time
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_OPENING = frozenset(b"[{")

Responses = dict[int | str, dict[str, Any]]


def _refusal(status: int, description: str) -> Responses:
    return {status: {"model": ErrorBody, "description": description}}


ALWAYS: Responses = {
    **_refusal(401, "The key is missing or wrong."),
    **_refusal(403, "The key is not allowed to do this."),
    **_refusal(422, "A field, parameter or filter is wrong; `details` names each."),
    **_refusal(500, "A defect; the log has details under `incident_id`."),
    **_refusal(503, "The database is away or busy; try again."),
}
BODY: Responses = {
    **_refusal(400, "The body cannot be read."),
    **_refusal(413, "The body is larger than 1 MiB."),
    **_refusal(415, "The body is not sent as `Content-Type: application/json`."),
}
LARGE = _refusal(413, "The body is larger than 16 MiB.")
MISSING = _refusal(404, "There is no such row.")
CLASH = _refusal(409, "It conflicts with stored data; the message says with what.")
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


class StrictRoute(APIRoute):
    """Refuses what FastAPI would not look at: unknown parameters, other media types, deep nesting."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the look at the request."""
        handle = super().get_route_handler()
        known = frozenset(_parameters(self.dependant))
        reads_body = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            # FastAPI ignores unknown parameters: a misspelt filter would show every row
            if request.scope["query_string"]:
                _refuse_unknown(request, known)
            if reads_body:
                # before it is parsed, because the parser recurses
                _refuse_nesting(await _json(request))
            return await handle(request)

        return handle_strictly


def _parameters(dependant: Dependant) -> Iterator[str]:
    """The query's parameters; those that stand together in one model are taken apart."""
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (part.alias or name for name, part in model.model_fields.items())
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _refuse_unknown(request: Request, known: frozenset[str]) -> None:
    for name in request.query_params:
        if name not in known:
            possible = f"possible are {', '.join(sorted(known))}" if known else "there are none"
            msg = f"There is no parameter {name[:64]!r} here ({possible}). Remove it or check its spelling."
            raise InvalidError(msg, field=f"query.{name[:64]}".encode("utf-8", "replace").decode())


async def _json(request: Request) -> bytes:
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and media_type != "application/json":
        msg = f"The body has the content type {media_type[:64] or 'none'!r}. "
        raise MediaTypeError(msg + "Send JSON with the header `Content-Type: application/json`.")
    return body


def _refuse_nesting(body: bytes) -> None:
    if nests_deeper(body, MAX_DEPTH):
        msg = f"The body nests deeper than {MAX_DEPTH} levels. Send something flatter."
        raise BadRequestError(msg)


def nests_deeper(body: bytes, limit: int) -> bool:
    """Whether the JSON in `body` has more than `limit` brackets open at once."""
    # the usual body costs two counts
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
    return APIRouter(prefix=prefix, tags=[tag], route_class=StrictRoute, responses=ALWAYS)
