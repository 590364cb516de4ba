"""Fixtures of tg_bot's tests: Telegram and rest_service as stand-ins, clients of both."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from service_kit.changes import Topic, announce
from service_kit.rest.client import AsyncRestClient
from tg_bot.src.client.rest import RestClient
from tg_bot.src.client.telegram import TelegramClient
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.user_changes import UserChanges
from tg_bot.tests.standin import BOT_ID, RestStandIn, TelegramStandIn, client_of, rest_settings, serving


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramStandIn]:
    standin = TelegramStandIn()
    async with serving(standin):
        yield standin


@pytest.fixture
async def client(telegram: TelegramStandIn) -> AsyncIterator[TelegramClient]:
    async with client_of(telegram) as client:
        yield client


@pytest.fixture
async def rest_standin(redis_client: aioredis.Redis) -> AsyncIterator[RestStandIn]:
    standin = RestStandIn()
    standin.on_change = lambda: announce(redis_client, Topic.USERS)
    async with serving(standin):
        yield standin


@pytest.fixture
async def rest(rest_standin: RestStandIn, redis_client: aioredis.Redis) -> AsyncIterator[RestClient]:
    async with RestClient(AsyncRestClient(rest_settings(rest_standin)), redis_client) as client:
        yield client


@pytest.fixture
def changes(rest: RestClient, redis_client: aioredis.Redis) -> UserChanges:
    return UserChanges(Identity(BOT_ID), rest, redis_client)
