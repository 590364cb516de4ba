"""Who may do what: two keys, and a rule on every route.

`Gate` stands before everything under `/api` and lets nobody in without a key, before a body is read
and whatever is routed behind it. `Allow` is the rule of a route; a test walks the route table so that
one without a rule fails. Comparison takes the same time for every wrong key.
"""

import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from service_kit.contracts.errors import ErrorBody

from .errors.api import ForbiddenError
from .errors.handlers import answer

_SCHEME = b"bearer "


class Role(StrEnum):
    """Whose key it is."""

    ADMIN = "admin"
    SERVICE = "service"


class Keyring:
    """The keys, by role."""

    def __init__(self, keys: Mapping[Role, SecretStr]) -> None:
        self._keys = {role: key.get_secret_value().encode() for role, key in keys.items()}

    def roles(self, header: bytes) -> frozenset[Role]:
        """What the `Authorization` header opens; empty where it opens nothing."""
        scheme, token = header[: len(_SCHEME)], header[len(_SCHEME) :].strip()
        if scheme.lower() != _SCHEME:
            return frozenset()
        # all keys are compared, whichever matches
        matches = {role: hmac.compare_digest(token, key) for role, key in self._keys.items()}
        return frozenset(role for role, match in matches.items() if match)


class Gate:
    """ASGI middleware: 401 for everything under `/api` without a known key."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or go on with the caller's roles in `request.state.roles`."""
        if scope["type"] == "http" and _guarded(scope["path"]):
            header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            roles = self._keyring.roles(header)
            if not roles:
                await _unauthorized(bool(header))(scope, receive, send)
                return
            scope.setdefault("state", {})["roles"] = roles
        await self._app(scope, receive, send)


def _guarded(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _unauthorized(shown: bool) -> ASGIApp:
    reason = "This key is not known." if shown else "This needs a key."
    return answer(
        401,
        ErrorBody(
            code="unauthorized",
            message=f"{reason} Send `Authorization: Bearer <ADMIN_API_KEY>`; the key stands in .env.",
        ),
        {"WWW-Authenticate": 'Bearer realm="rest_service"'},
    )


class Allow:
    """The rule of a route: which roles' keys reach it."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request) -> None:
        """Raises ForbiddenError where no role of the caller is allowed."""
        if not self.roles & request.state.roles:
            allowed = " or ".join(sorted(self.roles))
            msg = f"This key does not reach so far: it needs the {allowed} key."
            raise ForbiddenError(msg)


def _rule(*roles: Role) -> list[Any]:
    return [Depends(Allow(*roles))]


ANYONE = _rule(Role.ADMIN, Role.SERVICE)
"""`dependencies=` of a route that the admin and the services use."""
ADMIN = _rule(Role.ADMIN)
"""What shapes the assistants, and what cannot be undone: the admin alone."""
SERVICE = _rule(Role.SERVICE)
"""Tokens in clear: the services alone."""
