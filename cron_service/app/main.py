"""cron_service: the composition root.

All work is done in threads (APScheduler, blocking clients); the event loop only waits for the signal.
"""

import asyncio
import logging
import os
from contextlib import ExitStack

from service_kit import lifecycle
from service_kit import redis as kit_redis
from service_kit.clock import SystemClock
from service_kit.health import Health, HealthServer
from service_kit.logging import configure_logging, get_logger
from service_kit.rest.client import SyncRestClient
from service_kit.settings import load

from .config import Settings
from .redis_client import RedisClient
from .rest_client import RestClient
from .scheduler import JobScheduler

SERVICE = "cron_service"
log = get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Make the parts, run until `stop` is set, close them."""
    with ExitStack() as stack:
        redis = kit_redis.connect_sync(settings)
        stack.callback(redis.close)
        rest = SyncRestClient(settings)
        stack.callback(rest.close)
        health = Health(SERVICE)
        stack.enter_context(
            HealthServer(health, settings.http_host, settings.http_port, allowed_hosts=settings.allowed_hosts)
        )
        scheduler = JobScheduler(
            rest=RestClient(rest, name=settings.service_slot),
            redis=RedisClient(redis, queue=settings.assistant_output_queue),
            settings=settings,
            health=health,
            clock=SystemClock(),
        )
        scheduler.start_scheduler()
        await stop.wait()
        await _drain(scheduler, settings.drain_timeout)


async def _drain(scheduler: JobScheduler, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.to_thread(scheduler.shutdown)
    except TimeoutError:
        # a thread cannot be cancelled; what it was doing is resumed or caught up at the next start
        log.error("drain_timed_out", seconds=seconds)  # noqa: TRY400 - the traceback says nothing more
        os._exit(1)


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    # lines about each turn of the upkeep jobs; a job that raises is logged as an error
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
