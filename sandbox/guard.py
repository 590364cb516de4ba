"""Keeps everybody out of the sandbox but its owner and the suite.

Other web sites, in the browser of somebody on this machine: a name of theirs that points here is refused by
Host, a request of their pages by Origin, and a form cannot send JSON. Other users of the machine: the chat
interface, its page and the control need the secret of the link that a start prints. A browser that has
followed the link keeps the secret as a cookie, so that it stands in no address; programs send it as
`Authorization: Bearer`.
"""

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import SecretStr

from service_kit.hosts import REFUSAL, AllowedHosts

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY = "key"
"""The parameter of the link, and the cookie, that hold the secret."""
KEPT_SECONDS = 365 * 86_400
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Guard:
    """`middleware` for everything; called with a handler, it keeps that for those who know the secret."""

    def __init__(self, hosts: AllowedHosts, secret: SecretStr | None) -> None:
        self._hosts = hosts
        self._secret = secret.get_secret_value() if secret else None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers no other web site."""
        if not self._hosts.allow(request.headers.get("Host")):
            return problem(403, "wrong_host", REFUSAL)
        if not _is_own_page(request):
            return problem(403, "wrong_origin", "This service answers no other web site.")
        try:
            return await handler(request)
        except web.HTTPError as exc:
            if exc.content_type != "text/plain":
                raise
            return problem(exc.status, "refused", exc.reason)

    def __call__(self, handler: Handler) -> Handler:
        """The same handler, for those who know the secret."""

        async def check(request: web.Request) -> web.StreamResponse:
            response = self._refuse(request) or await handler(request)
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response

        return check

    def opens(self, secret: str) -> bool:
        """Whether this is the secret."""
        return self._secret is None or hmac.compare_digest(
            secret.encode(errors="surrogateescape"), self._secret.encode()
        )

    def is_known(self, request: web.Request) -> bool:
        """Whether the request comes with the secret."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            # the page's own requests come without the header
            shown = request.cookies.get(KEY, "")
        return self.opens(shown.strip())

    def _refuse(self, request: web.Request) -> web.Response | None:
        if not self.is_known(request):
            return problem(401, "unauthorized", "Open the link that ./manage.py start prints.")
        # a form of another web site cannot send JSON without asking the browser first
        if request.method in _WITH_BODY and request.content_type != "application/json":
            return problem(415, "not_json", "Send the body as application/json.")
        return None


def _is_own_page(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def problem(status: int, code: str, message: str) -> web.Response:
    """An error in the suite's shape."""
    return web.json_response({"code": code, "message": message}, status=status)
