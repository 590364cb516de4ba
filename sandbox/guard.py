"""Keeps other web sites out of the chat page and the controls.

The sandbox has no login. Its pages listen on this machine, but a site that somebody visits could
still reach them through the browser: by a name that points here (refused by Host header), or by a
form that posts across origins (refused, for a form cannot send JSON without asking first).
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "sandbox"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Guard:
    """Wraps handlers of pages and controls. `host` is the address that the service listens on."""

    def __init__(self, host: str) -> None:
        self._hosts = _LOCAL | {host.strip("[]").lower()}

    def __call__(self, handler: Handler) -> Handler:
        """The same handler behind the checks."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            refused = self._refused(request)
            if refused is not None:
                return refused
            response = await handler(request)
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response

        return guarded

    def _refused(self, request: web.Request) -> web.Response | None:
        if _name(request.host) not in self._hosts:
            return problem(403, "wrong_host", "This page answers only under localhost, 127.0.0.1 or [::1].")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return problem(403, "wrong_origin", "This page answers no other web site.")
        if request.method in _WITH_BODY and request.content_type != "application/json":
            return problem(415, "not_json", "Send the body as application/json.")
        return None


def problem(status: int, code: str, message: str) -> web.Response:
    """An error in the suite's shape."""
    return web.json_response({"code": code, "message": message}, status=status)


def _name(host: str) -> str:
    """The host without its port."""
    return (urlsplit(f"//{host}").hostname or "").lower()
