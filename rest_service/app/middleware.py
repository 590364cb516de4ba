"""What happens to every request before it is routed and to every answer before it leaves."""

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.contracts.errors import ErrorBody
from service_kit.logging import get_logger

from .errors.handlers import answer

log = get_logger(__name__)

MAX_BODY = 1024 * 1024
MAX_BODIES = {"/api/import": 16 * MAX_BODY}
"""Where more is needed."""
ALIASES = {"/api/cronjobs": "/api/cron-jobs"}
"""Old spellings; the documents show the new ones only."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # Swagger UI starts from an inline script and has its pictures in data: addresses
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
}


class SecurityHeaders:
    """Headers on every answer; nothing under `/api` may be kept by a cache on the way."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str] = _HEADERS) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on, and complete the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class Incidents:
    """The one place where a defect of ours is caught: logged under an id, answered with that id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on; answer 500 to what nobody else has caught."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http":
                raise
            # whatever it is, the caller gets an id instead of a stack trace and the next request is served
            incident_id = secrets.token_hex(6)
            log.exception(
                "request_failed", incident_id=incident_id, method=scope["method"], path=scope["path"]
            )
            if not started:
                body = ErrorBody(
                    code="internal",
                    message=f"Something went wrong here. The log has more under {incident_id}.",
                    incident_id=incident_id,
                )
                await answer(500, body)(scope, receive, send)


class Paths:
    """A trailing slash makes no difference, and old spellings are understood.

    Not by a redirect: clients drop the key, or the body, on the way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on with the path as it is routed."""
        if scope["type"] == "http":
            path = scope["path"].rstrip("/") or "/"
            for old, new in ALIASES.items():
                if path == old or path.startswith(f"{old}/"):
                    path = new + path[len(old) :]
            scope = {**scope, "path": path, "raw_path": None}
        await self._app(scope, receive, send)


class BodyLimit:
    """413 for a body above `MAX_BODY` (or its place's own limit), without keeping it."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on with a body that ends at the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_BODIES.get(scope["path"], self._limit)
        declared = Headers(scope=scope).get("content-length", "")
        too_long = declared.isdecimal() and int(declared) > limit
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if too_long or size > limit:
                raise HTTPException(413, f"The body is larger than {limit} bytes. Send less at once.")
            return message

        await self._app(scope, limited, send)
