"""`python -m rest_service.app.main`: the API, from its parts to its port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service_kit.clock import SystemClock
from service_kit.health import Health
from service_kit.lifecycle import run
from service_kit.logging import configure_logging, get_logger
from service_kit.redis import connect_blocking
from service_kit.settings import load
from service_kit.web import serve

from . import openapi
from .access import Keyring, Role
from .announcements import Announcer
from .config import Settings, split
from .credentials import CalendarKeys
from .database import Database
from .dependencies import Parts
from .errors import handlers
from .metrics import PATH as METRICS
from .metrics import Metrics
from .middleware import RequestBoundary, SecurityHeaders
from .model_names import ModelNames
from .retention import Retention
from .routers import (
    assistant_tools,
    assistants,
    bot,
    calendar,
    cron_jobs,
    discards,
    health,
    tools,
    transfer,
    usage,
    user_threads,
    users,
)
from .schema import require_head
from .tool_types import ToolTypes

NAME = "rest_service"

log = get_logger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(settings: Settings) -> FastAPI:
    """The whole application. It connects when its lifespan begins."""
    metrics = Metrics()
    app: FastAPI = FastAPIOffline(
        title=openapi.TITLE,
        version="1.0.0",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        swagger_ui_parameters=openapi.UI,
        redoc_url=None,
        lifespan=_lifespan(settings, metrics),
        middleware=_middleware(settings, metrics),
        generate_unique_id_function=openapi.operation_id,
        # RequestBoundary removes slashes; a redirect would lose the key or the body
        redirect_slashes=False,
    )
    handlers.install(app)
    app.include_router(_api())
    app.include_router(health.router)
    app.add_route(METRICS, metrics.page, include_in_schema=False)
    openapi.install(app)
    return app


def _api() -> APIRouter:
    scheme = HTTPBearer(auto_error=False, scheme_name=openapi.KEY, description=openapi.KEY_DESCRIPTION)
    api = APIRouter(prefix="/api", dependencies=[Depends(scheme)])
    # routes are tried in this order, so those of every message come first; the documents are ordered by tags
    asked_often = (users, assistants, cron_jobs, user_threads, usage, discards, bot)
    for module in (*asked_often, tools, assistant_tools, calendar, transfer):
        api.include_router(module.router)
    return api


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    """From the outermost to the innermost."""
    keyring = Keyring(_keys(settings))
    origins = split(settings.cors_origins)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["X-Total-Count"],
    )
    return [
        Middleware(SecurityHeaders),
        *([cors] if origins else []),
        Middleware(RequestBoundary, keyring=keyring, metrics=metrics),
    ]


def _keys(settings: Settings) -> dict[Role, SecretStr]:
    keys = {
        Role.ADMIN: settings.admin_api_key,
        Role.SERVICE: settings.service_api_key,
        Role.ASSISTANT: settings.assistant_api_key,
        Role.TG_BOT: settings.tg_bot_api_key,
        Role.CRON_SERVICE: settings.cron_service_api_key,
        Role.CALENDAR: settings.calendar_api_key,
    }
    return {role: key for role, key in keys.items() if key is not None}


def _lifespan(settings: Settings, metrics: Metrics) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = Database(settings, SystemClock())
            stack.push_async_callback(database.aclose)
            redis = connect_blocking(settings, block=0)  # the one kind that does not retry by itself
            stack.push_async_callback(redis.aclose)
            announcer = await stack.enter_async_context(Announcer(redis))
            keys = CalendarKeys(database, settings.credentials_encryption_keys)
            app.state.parts = Parts(
                database,
                announcer,
                keys,
                ToolTypes(redis),
                ModelNames(redis),
            )
            metrics.watch(database)
            app.state.health = Health(NAME)
            app.state.health.add_check("database", database.check)
            # a note, not a check: without the calendar all else works
            app.state.health.add_note("calendar", keys.problem)
            await stack.enter_async_context(_running(app.state.health.watch(), "health"))
            retention = Retention(database, settings)
            await stack.enter_async_context(_running(retention.run(), "retention"))
            yield

    return lifespan


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def start(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    Raises:
        SystemExit: the database is away, or its schema is not the one this version needs.
    """
    await require_head(settings)
    app = create_app(settings)
    log.info("started", host=settings.http_host, port=settings.http_port)
    await serve(app, settings, stop)
    log.info("stopped")


def main() -> None:
    """The process."""
    settings = load(Settings)
    configure_logging(NAME, settings)
    run(lambda stop: start(settings, stop))


if __name__ == "__main__":
    main()
