"""The few reads of every message, answered before anything is routed or validated.

`HotReads` stands behind the gate and obeys the rule of the documented route of that path, which gives the
same answers from the same `Reads`. A path that is not written in the usual way goes on to that route.
"""

import re
from collections.abc import Awaitable
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Receive, Scope, Send

from .access import Allow
from .errors.api import ApiError
from .errors.handlers import respond
from .metrics import ROUTE
from .reads import Reads

USER = "/api/users/{user_id}"
ACCOUNT = "/api/users/by-telegram-id/{telegram_id}"
TREE = "/api/assistants/{assistant_id}/tree"

_PATH = re.compile(
    r"/api/(?:"
    r"users/(?P<user>[1-9][0-9]{0,8})"
    r"|users/by-telegram-id/(?P<account>-?[1-9][0-9]{0,17})"
    r"|assistants/(?P<tree>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/tree"
    r")"
)
"""Ids as programs write them; what is written otherwise is the routes' to understand."""


def _found(path: str, reads: Reads) -> tuple[Awaitable[bytes], str] | None:
    """The answer to `path`, and the path of its route; None where this is another one's to answer."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    user, account, tree = found.groups()
    if user:
        return reads.user(int(user)), USER
    if account:
        return reads.account(int(account)), ACCOUNT
    return reads.tree(UUID(tree)), TREE


class HotReads:
    """ASGI middleware; `rule` is that of the documented routes."""

    def __init__(self, app: ASGIApp, rule: Allow) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer such a read, or go on."""
        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and not scope["query_string"]
            and self._rule.scope in scope.get("state", {}).get("scopes", ())
        ):
            found = _found(scope["path"], scope["app"].state.parts.reads)
            if found is not None:
                body, scope[ROUTE] = found
                try:
                    await _send(send, await body)
                except ApiError as exc:
                    await respond(exc)(scope, receive, send)
                except (DBAPIError, TimeoutError):
                    await self._app(scope, receive, send)  # asks once more, and says what is wrong
                return
        await self._app(scope, receive, send)


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
