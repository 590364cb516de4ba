"""Access: each key has a role, each role has scopes, each route needs one scope.

`authenticate` refuses everything under `/api` without a key, before a body is read or a route is looked
for. `Allow` is the rule of a route; a test walks the route table and fails for a route without a rule.

`SERVICE_API_KEY` is the key that all services may share. Where the services have keys of their own,
each may do only what its role needs; and once the calendar service has its own, tokens are for that
key alone, as roles of users are for the bot's.
"""

import hmac
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.types import ASGIApp
from starlette.types import Scope as Connection

from service_kit.contracts.errors import ErrorBody

from .errors.api import ForbiddenError
from .errors.handlers import answer

_SCHEME = b"bearer "


class Scope(StrEnum):
    """What a route is about."""

    BOT = "bot"
    """Set the current bot."""
    USER = "user"
    """Read one user."""
    PROFILE = "profile"
    """Change what a user is called, their language and time zone, and when they were last seen."""
    MEMBERS = "members"
    """Make users; change their role and everything else of them."""
    CONFIGURATION = "configuration"
    """Read assistants, tools and links."""
    THREADS = "threads"
    """Provider-side threads, and discards."""
    JOBS = "jobs"
    """Read one job; make, change and delete jobs."""
    SCHEDULE = "schedule"
    """List jobs."""
    FIRINGS = "firings"
    """Read and claim firings, and report on them."""
    USAGE = "usage"
    """Store what answering has cost."""
    CALENDAR = "calendar"
    """Whether a user has linked a calendar; note that a grant was revoked; forget it."""
    TOKENS = "tokens"
    """Read and store calendar tokens."""
    ADMIN = "admin"
    """Shape the assistants, import and export them, look at everything, and what cannot be undone."""


class Role(StrEnum):
    """The owner of a key."""

    ADMIN = "admin"
    SERVICE = "service"
    ASSISTANT = "assistant"
    TG_BOT = "tg_bot"
    CRON_SERVICE = "cron_service"
    CALENDAR = "calendar"


_OF_SERVICES: dict[Role, frozenset[Scope]] = {
    Role.ASSISTANT: frozenset(
        {
            Scope.USER,
            Scope.PROFILE,
            Scope.CONFIGURATION,
            Scope.THREADS,
            Scope.JOBS,
            Scope.SCHEDULE,
            Scope.USAGE,
        }
    ),
    Role.TG_BOT: frozenset({Scope.BOT, Scope.USER, Scope.PROFILE, Scope.MEMBERS}),
    Role.CRON_SERVICE: frozenset({Scope.USER, Scope.SCHEDULE, Scope.FIRINGS}),
    Role.CALENDAR: frozenset({Scope.USER, Scope.CALENDAR, Scope.TOKENS}),
}
_ONLY: dict[Role, frozenset[Scope]] = {
    Role.CALENDAR: frozenset({Scope.TOKENS}),
    Role.TG_BOT: frozenset({Scope.BOT, Scope.MEMBERS}),
}
"""Scopes that the services' common key loses as soon as the service they are made for has its own key."""
SCOPES: dict[Role, frozenset[Scope]] = {
    # the admin has no use for tokens, so a leak of this key gives none away
    Role.ADMIN: frozenset(Scope) - {Scope.TOKENS},
    Role.SERVICE: frozenset().union(*_OF_SERVICES.values()),
    **_OF_SERVICES,
}
"""What each role's key may do."""


class Keyring:
    """The keys, by role."""

    def __init__(self, keys: Mapping[Role, SecretStr]) -> None:
        reach = dict(SCOPES)
        # a scope of one service is taken from the shared key as soon as that service has its own key
        reach[Role.SERVICE] -= frozenset().union(*(_ONLY[role] for role in _ONLY.keys() & keys))
        self._keys = [(key.get_secret_value().encode(), reach[role]) for role, key in keys.items()]

    def scopes(self, header: bytes) -> frozenset[Scope]:
        """What the `Authorization` header opens; empty where it opens nothing."""
        scheme, token = header[: len(_SCHEME)], header[len(_SCHEME) :].strip()
        if scheme.lower() != _SCHEME:
            return frozenset()
        # all keys are compared, whichever matches
        matching = [scopes if hmac.compare_digest(token, key) else frozenset() for key, scopes in self._keys]
        return frozenset().union(*matching)


def authenticate(request: Connection, keyring: Keyring) -> ASGIApp | None:
    """Note the caller's scopes in `request.state.scopes`; under `/api` without any, return a 401 answer."""
    if request["path"] != "/api" and not request["path"].startswith("/api/"):
        return None
    header = next((value for name, value in request["headers"] if name == b"authorization"), b"")
    scopes = keyring.scopes(header)
    if not scopes:
        return _answer_unauthorized(is_key_sent=bool(header))
    request.setdefault("state", {})["scopes"] = scopes
    return None


def _answer_unauthorized(*, is_key_sent: bool) -> ASGIApp:
    reason = "The key is wrong." if is_key_sent else "A key is required."
    return answer(
        401,
        ErrorBody(
            code="unauthorized",
            message=f"{reason} Send `Authorization: Bearer <ADMIN_API_KEY>`; the key is in .env.",
        ),
        {"WWW-Authenticate": 'Bearer realm="rest_service"'},
    )


class Allow:
    """The rule of a route: the scope that a key needs to reach it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        """Raise ForbiddenError where the caller's key lacks the scope."""
        require(self.scope, request.state.scopes)


def require(scope: Scope, scopes: Collection[Scope]) -> None:
    """Raises ForbiddenError where `scope` is not among the caller's `scopes`."""
    # the message names the keys that would do, but never the shared one
    if scope not in scopes:
        reaching = [role for role in Role if role is not Role.SERVICE and scope in SCOPES[role]]
        msg = f"This key is not allowed to do this. Use the key of {' or '.join(reaching)}."
        raise ForbiddenError(msg)


async def _scopes(request: Request) -> frozenset[Scope]:
    scopes: frozenset[Scope] = request.state.scopes
    return scopes


CallerScopes = Annotated[frozenset[Scope], Depends(_scopes)]
"""What the caller's key opens; for rules that depend on the body."""


def _rule(scope: Scope) -> list[Any]:
    return [Depends(Allow(scope))]


BOT, USER, PROFILE, MEMBERS = map(_rule, (Scope.BOT, Scope.USER, Scope.PROFILE, Scope.MEMBERS))
CONFIGURATION = _rule(Scope.CONFIGURATION)
THREADS, JOBS, SCHEDULE, FIRINGS = map(_rule, (Scope.THREADS, Scope.JOBS, Scope.SCHEDULE, Scope.FIRINGS))
USAGE, CALENDAR, TOKENS, ADMIN = map(_rule, (Scope.USAGE, Scope.CALENDAR, Scope.TOKENS, Scope.ADMIN))
"""`dependencies=` of a route."""
