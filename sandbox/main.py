"""sandbox: the composition root."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from service_kit import http_limits, lifecycle
from service_kit.health import Health
from service_kit.hosts import AllowedHosts
from service_kit.logging import configure_logging, get_logger
from service_kit.settings import load

from .application import create_app
from .config import Settings
from .guard import Guard
from .openai.pace import Pace
from .storage import Store

SERVICE = "sandbox"
SHUTDOWN_TIMEOUT = 1.0
"""Seconds that open long polls get at a stop; they have nothing to finish."""
BACKLOG = 1024
log = get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Make the parts, serve until `stop` is set, close them."""
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Store(settings.sandbox_state))
        health = Health(SERVICE)
        app = create_app(
            store=store,
            pace=Pace(latency=settings.sandbox_model_latency),
            health=health,
            guard=Guard(AllowedHosts(settings.http_host, settings.allowed_hosts), settings.sandbox_secret),
            token=settings.sandbox_telegram_token,
        )
        runner = await stack.enter_async_context(serving(app, settings.http_host, settings.http_port))
        async with asyncio.TaskGroup() as tasks:
            chores = [tasks.create_task(health.watch()), tasks.create_task(store.run())]
            log.info("listening", address=runner.addresses[0][:2])
            await stop.wait()
            for chore in chores:
                chore.cancel()


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[web.AppRunner]:
    """`app` on a port. Raises SystemExit where it is taken."""
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        keepalive_timeout=http_limits.IDLE_TIMEOUT,  # of a connection that has sent no whole head, too
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        except OSError as exc:
            raise SystemExit(f"cannot listen on {host}:{port}: {exc}") from exc
        yield runner
    finally:
        await runner.cleanup()


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
