"""sandbox: the composition root."""

import asyncio
from contextlib import AsyncExitStack

from aiohttp import web

from service_kit import lifecycle
from service_kit.health import Health
from service_kit.logging import configure_logging, get_logger
from service_kit.settings import load

from .application import create_app
from .config import Settings
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
            host=settings.http_host,
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, settings.http_host, settings.http_port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as exc:
            raise SystemExit(f"cannot listen on {settings.http_host}:{settings.http_port}: {exc}") from exc
        async with asyncio.TaskGroup() as tasks:
            chores = [tasks.create_task(health.watch()), tasks.create_task(store.run())]
            log.info("listening", address=runner.addresses[0][:2])
            await stop.wait()
            for chore in chores:
                chore.cancel()


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
