"""Serves an ASGI app under `service_kit.lifecycle`: the one place that knows uvicorn.

uvicorn would take the signals for itself; here `stop` ends it, like everything else of a service.
It is imported on use: only the services with an HTTP API of their own have it installed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service_kit.contracts.errors import ErrorBody
from service_kit.hosts import REFUSAL, AllowedHosts
from service_kit.http_protocol import make_bounded_protocol
from service_kit.settings import ServiceSettings

if TYPE_CHECKING:
    import uvicorn

App = Callable[..., Any]
"""An ASGI application."""


async def serve(app: App, settings: ServiceSettings, stop: asyncio.Event, *, further_host: str = "") -> None:
    """Answer requests on `http_host:http_port` until `stop` is set and running requests have ended.

    `further_host` is a name of the service that follows from its settings.

    Raises:
        SystemExit: the port is taken or the app's lifespan failed; uvicorn has logged why.
    """
    hosts = AllowedHosts(settings.http_host, f"{settings.allowed_hosts},{further_host}")
    server = _server(only_known_hosts(head_as_get(app), hosts), settings)

    async def end_when_stopped() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(end_when_stopped())
    try:
        await server.serve()
    finally:
        watcher.cancel()


def _server(app: App, settings: ServiceSettings) -> "uvicorn.Server":
    import uvicorn  # noqa: PLC0415 - not every service has it

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leave the signals to the lifecycle."""
            yield

    return Server(
        uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            http=make_bounded_protocol(),
            log_config=None,  # `configure_logging` has set up uvicorn's loggers too
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, int(settings.drain_timeout)),
        )
    )


def head_as_get(app: App) -> App:
    """`app`, which answers HEAD as GET; the server leaves out the body."""

    async def answer(scope: dict[str, Any], receive: App, send: App) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await app(scope, receive, send)

    return answer


def only_known_hosts(app: App, hosts: AllowedHosts) -> App:
    """`app` behind a 403 for requests to a name that is not ours."""
    refusal = ErrorBody(code="wrong_host", message=REFUSAL).model_dump_json().encode()

    async def answer(scope: dict[str, Any], receive: App, send: App) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host")
            if not hosts.allow(None if host is None else host.decode("latin-1")):
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(refusal))]
                await send({"type": "http.response.start", "status": 403, "headers": headers})
                await send({"type": "http.response.body", "body": refusal})
                return
        await app(scope, receive, send)

    return answer
