"""The few reads of every message, answered from the cache before anything is routed or validated.

`HotReads` stands behind the gate and obeys the rule of the documented route of that path. It answers
only what is kept; everything else, also a path that is not written in the usual way, goes on to that
route, which loads, keeps and refuses. So documents, rules and refusals have one source.
"""

import re
from uuid import UUID

from starlette.types import ASGIApp, Receive, Scope, Send

from . import kept
from .access import Allow
from .cache import LiveCache
from .metrics import ROUTE

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


def _key(path: str) -> tuple[kept.Key, str] | None:
    """What the answer to `path` is kept under, and the path of its route."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    user, account, tree = found.groups()
    if user:
        return kept.user(int(user)), USER
    if account:
        return kept.account(int(account)), ACCOUNT
    return kept.tree(UUID(tree)), TREE


class HotReads:
    """ASGI middleware; `rule` is that of the documented routes."""

    def __init__(self, app: ASGIApp, rule: Allow) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is kept, or go on."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            found = _key(scope["path"])
            if found is not None and self._rule.scope in scope["state"]["scopes"]:
                cache: LiveCache = scope["app"].state.parts.cache
                body = await cache.kept(found[0])
                if body is not None:
                    scope[ROUTE] = found[1]
                    await _send(send, body)
                    return
        await self._app(scope, receive, send)


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
