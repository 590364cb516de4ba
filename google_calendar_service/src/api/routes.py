"""The service's addresses."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from service_kit.contracts.errors import ErrorBody
from service_kit.contracts.health import HealthBody
from service_kit.health import respond

from ..schemas.auth import AuthUrl, PendingConsent
from .dependencies import PartsDep, require_key

UserId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Internal id of the user (not Telegram's).")]

health_router = APIRouter(tags=["health"])
router = APIRouter(
    dependencies=[Depends(require_key)],
    responses={status: {"model": ErrorBody} for status in (401, 404, 422, 500, 503)},
)


@health_router.get("/health", response_model=HealthBody)
@health_router.get("/health/ready", response_model=HealthBody)
@health_router.get("/health/live", response_model=HealthBody)
async def health(request: Request, parts: PartsDep) -> JSONResponse:
    """Whether the process is alive and ready."""
    found = respond(parts.health, request.url.path)
    assert found is not None  # noqa: S101 - the three paths above are the ones it knows
    status, body = found
    return JSONResponse(body.model_dump(), status_code=status)


@router.get("/auth/url/{user_id}", tags=["auth"])
async def auth_url(user_id: UserId, parts: PartsDep) -> AuthUrl:
    """The address of Google's consent page for this user."""
    user = await parts.rest.get_user(user_id)
    state = parts.redis.new_state()
    consent = await parts.google.run(parts.calendar.get_auth_url, state)
    await parts.redis.save_consent(
        state, PendingConsent(user_id=user.id, code_verifier=consent.code_verifier)
    )
    return AuthUrl(auth_url=consent.auth_url)
