"""How handlers get what the composition root made, and who may call them."""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service_kit.health import Health

from ..config.settings import Settings
from ..services.calendar import GoogleCalendarService
from ..services.redis_service import RedisService
from ..services.rest_service import RestService
from .errors import UnauthorizedError


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers work with; made in `main`."""

    settings: Settings
    calendar: GoogleCalendarService
    redis: RedisService
    rest: RestService
    health: Health


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]
_bearer = HTTPBearer(auto_error=False, description="SERVICE_API_KEY or ADMIN_API_KEY")


def require_key(
    parts: PartsDep, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let only the services and the admin in; all keys are compared, each in constant time."""
    offered = given.credentials.encode() if given else b""
    matches = [hmac.compare_digest(offered, key.encode()) for key in parts.settings.api_keys]
    if not any(matches):
        raise UnauthorizedError
