"""Puts the sandbox's parts together into one aiohttp application."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from service_kit import http_limits
from service_kit.health import Health, respond

from .control import Control
from .faults import FaultBoard
from .guard import Guard
from .openai.api import OpenAIApi
from .openai.pace import Pace
from .stats import Stats
from .storage import Store
from .telegram.api import BotApi
from .telegram.messenger import Messenger
from .weather.api import WeatherApi
from .web.chat_api import ChatApi
from .web.pages import Pages

BOT_NAME = "Smart Assistant"
MAX_BODY = 32 * 1024 * 1024
"""Bytes; a long conversation with tool results is a long request."""


def create_app(
    *, store: Store, pace: Pace, health: Health, guard: Guard, token: SecretStr | None = None
) -> web.Application:
    """The application; `token` is the only one that the Bot API takes, None: any."""
    stats, faults = Stats(), FaultBoard()
    messenger = Messenger(store, stats, BOT_NAME)
    openai = OpenAIApi(stats, faults, pace)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[guard.middleware, receive_in_time])
    BotApi(messenger, stats, faults, token).add_routes(app)
    openai.add_routes(app)
    WeatherApi(stats, faults).add_routes(app)
    ChatApi(messenger, guard).add_routes(app)
    control = Control(messenger=messenger, stats=stats, faults=faults, pace=pace, openai=openai, guard=guard)
    control.add_routes(app)
    Pages(guard).add_routes(app)
    _add_health(app, health)
    return app


@web.middleware
async def receive_in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 408 to a body that takes too long to come."""
    if request.body_exists and not request.content_type.startswith("multipart/"):
        try:
            async with asyncio.timeout(http_limits.RECEIVE_TIMEOUT):
                await request.read()  # and kept for the handler
        except TimeoutError:
            return web.Response(status=408, headers={"Connection": "close"})
    return await handler(request)


def _add_health(app: web.Application, health: Health) -> None:
    async def show(request: web.Request) -> web.Response:
        found = respond(health, request.path)
        if found is None:
            raise web.HTTPNotFound
        status, body = found
        return web.json_response(body.model_dump(), status=status)

    for path in ("/health", "/health/live", "/health/ready"):
        app.router.add_get(path, show)
