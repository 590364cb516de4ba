"""The dependencies of route handlers: the parts that `main` makes, and the check of the caller's key.

All of them are `async`: FastAPI runs a plain function in its threads, where a hanging call would hold up the
key check and the health page.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service_kit.health import Health

from ..config.settings import Settings, hash_key
from ..services.calendar import GoogleCalendarService
from ..services.google_threads import GoogleThreads
from ..services.redis_service import RedisService
from ..services.rest_service import RestService
from .errors import UnauthorizedError


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers work with; made in `main`."""

    settings: Settings
    calendar: GoogleCalendarService
    google: GoogleThreads
    redis: RedisService
    rest: RestService
    health: Health


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]
_bearer = HTTPBearer(auto_error=False, description="SERVICE_API_KEY or ADMIN_API_KEY")


async def require_key(
    parts: PartsDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Raise UnauthorizedError without a key of a service or the admin."""
    sent = hash_key(credentials.credentials if credentials else "")
    # every key is compared, each in constant time, so that the time tells nothing about them
    matches = [hmac.compare_digest(sent, key) for key in parts.settings.key_hashes]
    if not any(matches):
        raise UnauthorizedError
