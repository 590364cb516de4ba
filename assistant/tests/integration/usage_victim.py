"""A process that posts usage, for a test that kills it: settings from the environment."""

import asyncio

from assistant.src.services.rest_service import RestServiceClient
from assistant.src.services.usage import UsageLog
from service_kit.clock import SystemClock
from service_kit.lifecycle import run
from service_kit.redis import connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings, load


async def main(_stop: asyncio.Event) -> None:
    redis = connect(load(RedisSettings))
    async with AsyncRestClient(load(RestClientSettings)) as client:
        await UsageLog(redis, RestServiceClient(client), SystemClock()).run()


if __name__ == "__main__":
    run(main)
