"""`/health`, open to everybody: it says whether the service works and nothing else."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service_kit.contracts.health import HealthBody
from service_kit.health import Health, respond

router = APIRouter(tags=["health"], responses={503: {"model": HealthBody, "description": "Not ready."}})


def _respond(request: Request) -> JSONResponse:
    health: Health = request.app.state.health
    status, body = respond(health, request.url.path) or (404, health.body())
    return JSONResponse(body.model_dump(), status_code=status)


@router.get("/health", response_model=HealthBody)
async def ready_short(request: Request) -> JSONResponse:
    """Whether requests can be served."""
    return _respond(request)


@router.get("/health/ready", response_model=HealthBody)
async def ready(request: Request) -> JSONResponse:
    """Whether requests can be served: the process is alive and the database answers."""
    return _respond(request)


@router.get("/health/live", response_model=HealthBody)
async def live(request: Request) -> JSONResponse:
    """Whether the process is alive."""
    return _respond(request)
