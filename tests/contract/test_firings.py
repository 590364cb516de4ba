"""What cron_service relies on at rest_service, of the real one and of the fake that its tests ask."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from pydantic import SecretStr

from cron_service.tests.fake_rest import FakeRest
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, Api, empty, make_settings, migrated_database, running
from service_kit.contracts.cron import CronJobRead, FiringClaimed, FiringStatus, FiringUpdate
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings

pytestmark = pytest.mark.integration

HOURLY = "0 * * * *"
SOON = timedelta(minutes=5)


def settings(url: str) -> RestClientSettings:
    return RestClientSettings(rest_service_url=url, service_api_key=SecretStr(SERVICE_KEY))


class World(ABC):
    """A rest_service with one user, and what makes things happen in it."""

    client: AsyncRestClient

    @abstractmethod
    async def add_job(self, **fields: Any) -> int: ...

    @abstractmethod
    async def change_job(self, job_id: int, **fields: Any) -> None: ...

    @abstractmethod
    async def change_user(self, **fields: Any) -> None: ...

    async def job(self, job_id: int) -> CronJobRead:
        return await self.client.send(endpoints.job(job_id))

    async def due(self, job_id: int) -> datetime:
        at = (await self.job(job_id)).next_run_at
        assert at is not None
        return at

    async def claim(self, job_id: int, at: datetime | None = None, name: str = "cron-1") -> FiringClaimed:
        """The next firing, unless told otherwise."""
        return await self.client.send(endpoints.claim_firing(job_id, at or await self.due(job_id), name))

    async def report(self, firing: FiringClaimed, status: str) -> None:
        change = FiringUpdate(status=FiringStatus(status))
        await self.client.send(endpoints.report_firing(firing.cron_job_id, firing.id, change))


class RealWorld(World):
    def __init__(self, admin: Api, client: AsyncRestClient, user_id: int) -> None:
        self.client, self._admin, self._user_id = client, admin, user_id

    async def add_job(self, **fields: Any) -> int:
        return int((await self._admin.a_job({"id": self._user_id}, **fields))["id"])

    async def change_job(self, job_id: int, **fields: Any) -> None:
        assert (await self._admin.patch(f"/api/cron-jobs/{job_id}", fields)).status_code == 200

    async def change_user(self, **fields: Any) -> None:
        assert (await self._admin.patch(f"/api/users/{self._user_id}", fields)).status_code == 200


class FakeWorld(World):
    def __init__(self, fake: FakeRest, client: AsyncRestClient) -> None:
        self.client, self._fake = client, fake
        fake.add_user()

    async def add_job(self, **fields: Any) -> int:
        job_id = len(self._fake.jobs) + 1
        self._fake.add_job(job_id, **fields)
        return job_id

    async def change_job(self, job_id: int, **fields: Any) -> None:
        self._fake.change_job(job_id, **fields)

    async def change_user(self, **fields: Any) -> None:
        self._fake.users[7] |= fields


@pytest.fixture(scope="module")
def firings_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "firings") as url:
        yield url


@pytest.fixture(params=["real", "fake"])
async def world(
    request: pytest.FixtureRequest,
    firings_url: str,
    redis_settings: RedisSettings,
    redis_client: aioredis.Redis,
) -> AsyncIterator[World]:
    if request.param == "fake":
        with FakeRest() as fake:
            async with AsyncRestClient(settings(fake.url)) as client:
                yield FakeWorld(fake, client)
        return
    empty(firings_url)
    app = create_app(make_settings(firings_url, redis_settings))
    transport = httpx2.ASGITransport(app=app)
    async with (
        running(app) as admin,
        AsyncRestClient(settings("http://rest_service:8000"), transport=transport) as client,
    ):
        user = await admin.a_user(700)
        yield RealWorld(admin, client, user["id"])


def ahead(delta: timedelta = SOON) -> str:
    return (datetime.now(UTC) + delta).isoformat()


async def listed(world: World) -> list[int]:
    return [job.id for job in await world.client.send(endpoints.jobs())]


async def test_only_the_next_firing_is_claimed_and_the_job_moves_on(world):
    job_id = await world.add_job(cron_expression=HOURLY)
    due = await world.due(job_id)
    for other in (due - timedelta(hours=1), due + timedelta(hours=1), datetime(2199, 1, 1, tzinfo=UTC)):
        with pytest.raises(ConflictError) as refusal:
            await world.claim(job_id, other)
        assert refusal.value.body.field == "scheduled_for"
    assert await world.due(job_id) == due
    firing = await world.claim(job_id)
    assert (firing.scheduled_for, firing.status, firing.claimed_by) == (due, FiringStatus.RUNNING, "cron-1")
    assert firing.started_at is not None
    assert firing.next_run_at == await world.due(job_id) == due + timedelta(hours=1)


async def test_the_same_claim_is_answered_the_same_and_anothers_refused(world):
    job_id = await world.add_job(run_at=ahead())
    due = await world.due(job_id)
    first = await world.claim(job_id)
    assert first.next_run_at is None
    assert await world.claim(job_id, due) == first
    with pytest.raises(ConflictError):
        await world.claim(job_id, due, "cron-2")
    await world.report(first, "done")
    assert (await world.claim(job_id, due)).status is FiringStatus.DONE


async def test_a_moved_job_is_claimed_at_its_new_time_alone(world):
    job_id = await world.add_job(run_at=ahead())
    old = await world.due(job_id)
    await world.change_job(job_id, run_at=ahead(2 * SOON))
    with pytest.raises(ConflictError):
        await world.claim(job_id, old)
    assert (await world.claim(job_id)).scheduled_for == (await world.job(job_id)).run_at


@pytest.mark.parametrize("change", [{"is_active": False}, {"status": "paused"}, {"status": "done"}])
async def test_a_job_that_is_off_is_neither_listed_nor_claimed(world, change):
    job_id = await world.add_job(cron_expression=HOURLY)
    due = await world.due(job_id)
    await world.change_job(job_id, **change)
    assert await listed(world) == []
    assert (await world.job(job_id)).next_run_at is None
    with pytest.raises(ConflictError):
        await world.claim(job_id, due)
    with pytest.raises(NotFoundError):
        await world.claim(job_id + 1000, due)


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "blocked"}])
async def test_jobs_of_who_gets_no_messages_rest(world, change):
    job_id = await world.add_job(cron_expression=HOURLY)
    due = await world.due(job_id)
    assert await listed(world) == [job_id]
    await world.change_user(**change)
    assert await listed(world) == []
    assert await world.due(job_id) == due
    with pytest.raises(ConflictError):
        await world.claim(job_id)
    await world.change_user(is_active=True, role="member")
    assert await listed(world) == [job_id]
    assert (await world.claim(job_id)).scheduled_for == due


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "blocked"}])
async def test_what_was_claimed_for_who_gets_no_messages_waits_for_them(world, change):
    firing = await world.claim(await world.add_job(run_at=ahead()))
    await world.change_user(**change)
    assert await world.client.send(endpoints.open_firings()) == []
    await world.change_user(is_active=True, role="member")
    assert [one.id for one in await world.client.send(endpoints.open_firings())] == [firing.id]


@pytest.mark.parametrize("end", ["done", "failed", "missed"])
async def test_a_firing_ends_once_and_a_one_shot_with_it(world, end):
    job_id = await world.add_job(run_at=ahead())
    firing = await world.claim(job_id)
    assert [one.id for one in await world.client.send(endpoints.open_firings())] == [firing.id]
    with pytest.raises(ConflictError):
        await world.report(firing, "created")
    for status in ("running", end, end):
        await world.report(firing, status)
    for status in {"created", "running", "done", "failed", "missed"} - {end}:
        with pytest.raises(ConflictError) as refusal:
            await world.report(firing, status)
        assert refusal.value.body.field == "status"
    assert await world.client.send(endpoints.open_firings()) == []
    job = await world.job(job_id)
    assert (job.status, job.next_run_at) == ("failed" if end == "failed" else "done", None)
    assert await listed(world) == []
    with pytest.raises(NotFoundError):
        await world.report(firing.model_copy(update={"id": firing.id + 1000}), "done")


async def test_a_one_shot_that_was_put_off_meanwhile_is_not_over(world):
    job_id = await world.add_job(run_at=ahead())
    firing = await world.claim(job_id)
    await world.change_job(job_id, run_at=ahead(2 * SOON))
    await world.report(firing, "done")
    assert await listed(world) == [job_id]
    assert await world.due(job_id) > firing.scheduled_for


async def test_a_recurring_job_goes_on(world):
    job_id = await world.add_job(cron_expression=HOURLY)
    await world.report(await world.claim(job_id), "failed")
    assert await listed(world) == [job_id]
    assert (await world.claim(job_id)).status is FiringStatus.RUNNING
