"""The two ASGI layers of this service: one completes every answer, one stands before every route."""

import secrets
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.contracts.errors import ErrorBody
from service_kit.logging import get_logger

from .access import Keyring, authenticate
from .errors.handlers import answer
from .metrics import Metrics

log = get_logger(__name__)

MAX_BODY = 1024 * 1024
MAX_BODIES = {"/api/import": 16 * MAX_BODY}
"""Paths that take larger bodies."""
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
    """Adds headers to every answer; no cache on the way may keep an answer of `/api`."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str] = _HEADERS) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestBoundary:
    """Normalizes the path, checks the key, bounds the body, measures, and answers defects with 500."""

    def __init__(self, app: ASGIApp, keyring: Keyring, metrics: Metrics) -> None:
        self._app = app
        self._keyring = keyring
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with what may reach a route."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": normalize_path(scope["path"]), "raw_path": None}
        status: int | None = None
        started_at = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            # a stranger is refused before anything is read or routed
            app = authenticate(scope, self._keyring) or self._app
            await app(scope, _limit_body(scope, receive), send_and_note)
        except Exception:
            # the one place that catches everything: the caller gets an id instead of a stack trace
            incident_id = secrets.token_hex(6)
            log.exception(
                "request_failed", incident_id=incident_id, method=scope["method"], path=scope["path"]
            )
            if status is None:
                await _answer_incident(incident_id)(scope, receive, send_and_note)
        finally:
            self._metrics.observe(scope, status or 500, time.perf_counter() - started_at)


def normalize_path(path: str) -> str:
    """`path` without a trailing slash and in today's spelling.

    This is no redirect, because clients drop the key or the body on the way.
    """
    path = path.rstrip("/") or "/"
    for old, new in ALIASES.items():
        if path == old or path.startswith(f"{old}/"):
            return new + path[len(old) :]
    return path


def _answer_incident(incident_id: str) -> ASGIApp:
    body = ErrorBody(
        code="internal",
        message=f"Something went wrong. The log has details under {incident_id}.",
        incident_id=incident_id,
    )
    return answer(500, body)


def _limit_body(scope: Scope, receive: Receive) -> Receive:
    """`receive` that raises 413 for a body above the limit of its path, without keeping it."""
    limit = MAX_BODIES.get(scope["path"], MAX_BODY)
    declared = Headers(scope=scope).get("content-length", "")
    is_too_long = declared.isdecimal() and int(declared) > limit
    size = 0

    async def receive_within_limit() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        # raised where the body is read: one that no route reads does no harm
        if is_too_long or size > limit:
            raise HTTPException(413, f"The body is larger than {limit} bytes. Send less at once.")
        return message

    return receive_within_limit
