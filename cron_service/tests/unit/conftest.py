from collections.abc import Iterator

import pytest

from cron_service.app.rest_client import RestClient
from cron_service.tests.fake_rest import FakeRest
from cron_service.tests.fakes import FakeRedisClient, settings
from service_kit.rest.client import SyncRestClient


@pytest.fixture
def fake_rest() -> Iterator[FakeRest]:
    with FakeRest() as rest:
        yield rest


@pytest.fixture
def rest(fake_rest: FakeRest) -> Iterator[RestClient]:
    client = SyncRestClient(settings(fake_rest.url))
    yield RestClient(client, name="cron-1")
    client.close()


@pytest.fixture
def queue() -> FakeRedisClient:
    return FakeRedisClient()
