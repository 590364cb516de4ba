from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI

from rest_service.app.config import Settings
from rest_service.app.main import create_app
from rest_service.tests.support import Api, empty, make_settings, migrated_database, running
from service_kit.settings import RedisSettings
from service_kit.testing.clock import FakeClock


@pytest.fixture(scope="session")
def migrated_url(database_url: str) -> Iterator[str]:
    """A migrated database for the whole run; each test begins with empty tables."""
    with migrated_database(database_url, "rest") as url:
        yield url


@pytest.fixture
def empty_url(migrated_url: str) -> str:
    empty(migrated_url)
    return migrated_url


@pytest.fixture
def settings(empty_url: str, redis_settings: RedisSettings, redis_client: aioredis.Redis) -> Settings:
    return make_settings(empty_url, redis_settings)


@pytest.fixture(scope="session")
def _apps() -> dict[str, FastAPI]:
    return {}


@pytest.fixture
def app(settings: Settings, _apps: dict[str, FastAPI]) -> FastAPI:
    """One for all tests, for making its routes takes longer than a test; each starts it anew."""
    if "app" not in _apps:
        _apps["app"] = create_app(settings)
    return _apps["app"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def api(app: FastAPI, clock: FakeClock) -> AsyncIterator[Api]:
    async with running(app, clock) as started:
        yield started
