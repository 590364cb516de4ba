"""Fixtures for the tests of all services: real PostgreSQL and Redis, never anybody's data.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use (the test compose file sets them); without them
each worker of the run starts throw-away embedded servers. Workers may share a PostgreSQL (each makes its own
databases), never a Redis: tests change its settings and empty it.
"""

import os
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis.asyncio as aioredis
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ops.embedded import find_binaries
from service_kit import redis as kit_redis
from service_kit.settings import RedisSettings
from service_kit.testing.limited_redis import LimitedRedis, limited_redis
from service_kit.testing.servers import ThrowAwayServers

E2E = "tests/e2e/"

# no figure of a busy machine fails a test; where CI is set, each run tries the same examples
settings.register_profile(
    "suite", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a worker whole files, and one of them all end-to-end tests: they share one suite of processes.

    xdist's own groups do not work with pytest 9.2, which no longer lets a plugin change a test's id.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return E2E if file.startswith(E2E) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling:
    """Who gets which test."""
    config.option.loadscopereorder = False
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end-to-end tests take longest: they begin first, so that the workers end together."""
    items.sort(key=lambda item: not item.nodeid.startswith(E2E))


def choose_redis(addresses: str) -> str:
    """The worker's own among the addresses, which blanks separate.

    Raises:
        pytest.UsageError: There are more workers than addresses.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    known = addresses.split()
    if worker >= len(known):
        msg = f"TEST_REDIS_URL names {len(known)} servers: run at most as many workers (-n)"
        raise pytest.UsageError(msg)
    return known[worker]


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Structlog's default draws every local variable of a traceback, which takes minutes for an app."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@pytest.fixture(scope="session")
def test_servers() -> Iterator[dict[str, str]]:
    """Addresses of the run's PostgreSQL and Redis."""
    given = {
        name: os.environ[name] for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL") if os.environ.get(name)
    }
    if len(given) == 2:
        yield {**given, "TEST_REDIS_URL": choose_redis(given["TEST_REDIS_URL"])}
        return
    with ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers:
        yield servers.environment()


@pytest.fixture(scope="session")
def database_url(test_servers: dict[str, str]) -> str:
    """`postgresql://…` of an empty database whose role may create further ones."""
    url = test_servers["TEST_DATABASE_URL"]
    assert urlsplit(url).path.startswith("/test"), "tests run only against a database named test…"
    return url


@pytest.fixture
def redis_settings(test_servers: dict[str, str]) -> RedisSettings:
    """Settings of a Redis that `redis_client` has emptied."""
    url = urlsplit(test_servers["TEST_REDIS_URL"])
    return RedisSettings(
        redis_host=url.hostname or "127.0.0.1",
        redis_port=url.port or 6379,
        redis_db=int(url.path.strip("/") or 0),
        redis_password=unquote(url.password) if url.password else None,
    )


@pytest.fixture
async def redis_client(redis_settings: RedisSettings) -> AsyncIterator[aioredis.Redis]:
    """A client of an empty Redis."""
    client = kit_redis.connect(redis_settings)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
async def redis_with_limit(tmp_path: Path) -> AsyncIterator[LimitedRedis]:
    """A Redis of the test's own, which can be brought to its memory limit."""
    async with limited_redis(tmp_path) as limited:
        yield limited
