"""google_calendar_service: the composition root."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from service_kit import lifecycle, web
from service_kit import redis as kit_redis
from service_kit.health import Health
from service_kit.logging import configure_logging, get_logger
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import load

from .api import errors
from .api.dependencies import Parts
from .api.routes import health_router, router
from .config.settings import Settings, is_plain_http
from .services.calendar import GoogleCalendarService
from .services.google_threads import GoogleThreads
from .services.redis_service import RedisService
from .services.rest_service import RestService

SERVICE = "google_calendar_service"
log = get_logger(__name__)


def create_app(parts: Parts) -> FastAPI:
    """The ASGI app over `parts`; its description is not published (the API is for the services)."""
    app = FastAPI(
        title="Google Calendar Service",
        description="Service for working with Google Calendar",
        version="1.0.0",
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    errors.register(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=parts.settings.allowed_origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
    )
    app.middleware("http")(_trim_path)
    app.include_router(health_router)
    app.include_router(router)
    return app


async def _trim_path(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    # a trailing slash makes no difference; a redirect would lose the key of some clients
    request.scope["path"] = request.scope["path"].rstrip("/") or "/"
    return await call_next(request)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Make the parts, serve until `stop` is set, close them."""
    async with AsyncExitStack() as stack:
        redis = kit_redis.connect(settings)
        stack.push_async_callback(redis.aclose)
        rest = await stack.enter_async_context(AsyncRestClient(settings))
        google = GoogleThreads()
        stack.callback(google.close)
        health = Health(SERVICE)
        parts = Parts(
            settings=settings,
            calendar=GoogleCalendarService(settings),
            google=google,
            redis=RedisService(redis),
            rest=RestService(rest),
            health=health,
        )
        health.add_check("redis", parts.redis.ping)
        if not settings.google_client_id:
            log.warning("google_client_not_set", consequence="calendars cannot be linked")
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(health.watch())
            # where Google sends the browser back to
            back = urlsplit(settings.google_redirect_uri).hostname or ""
            await web.serve(create_app(parts), settings, stop, further_host=back)
            watch.cancel()


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    if is_plain_http(settings.google_auth_url) or is_plain_http(settings.google_token_url):
        # oauthlib refuses plain http everywhere, also to a stand-in on this machine; what else could be
        # meant has been refused by the settings
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
