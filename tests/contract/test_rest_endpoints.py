"""Every call of the kit's client against the real application, in one process."""

import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI
from pydantic import SecretStr

from rest_service.app.main import create_app
from rest_service.tests.support import (
    ADMIN_KEY,
    SERVICE_KEY,
    empty,
    make_settings,
    migrated_database,
    running,
)
from service_kit.contracts.assistants import AssistantRead
from service_kit.contracts.bots import BotPut
from service_kit.contracts.calendar import CalendarTokensWrite, CalendarUpdate
from service_kit.contracts.cron import CronJobCreate, CronJobUpdate, FiringUpdate
from service_kit.contracts.discards import DiscardKind
from service_kit.contracts.threads import UserThreadCreate, UserThreadUpdate
from service_kit.contracts.tools import ToolRead
from service_kit.contracts.usage import UsageCreate
from service_kit.contracts.users import UserCreate, UserRead, UserRole, UserUpdate
from service_kit.errors import AccessError, ConflictError, NotFoundError, RestError
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings

pytestmark = pytest.mark.integration

GONE = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
WHEN = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def contract_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "contract") as url:
        yield url


@dataclass
class World:
    """The client, and the rows it finds."""

    client: AsyncRestClient
    app: FastAPI
    secretary: AssistantRead
    planner: AssistantRead
    clock: ToolRead
    user: UserRead


def client_of(app: FastAPI, key: str = SERVICE_KEY) -> AsyncRestClient:
    settings = RestClientSettings(rest_service_url="http://rest_service:8000", service_api_key=SecretStr(key))
    return AsyncRestClient(settings, transport=httpx2.ASGITransport(app=app))


@pytest.fixture
async def world(
    contract_url: str, redis_settings: RedisSettings, redis_client: aioredis.Redis
) -> AsyncIterator[World]:
    empty(contract_url)
    app = create_app(make_settings(contract_url, redis_settings))
    async with running(app) as admin, client_of(app) as client:
        secretary = await admin.an_assistant("Secretary", is_secretary=True, settings={"temperature": 0.2})
        planner = await admin.an_assistant("Planner")
        clock = await admin.a_tool("clock", input_schema={"type": "object"})
        await admin.a_link(secretary, clock)
        await admin.a_link(secretary, await admin.a_sub_assistant_tool("ask_planner", planner))
        user = await client.send(endpoints.create_user(UserCreate(telegram_id=42, first_name="Ada")))
        yield World(
            client,
            app,
            AssistantRead.model_validate(secretary),
            AssistantRead.model_validate(planner),
            ToolRead.model_validate(clock),
            user,
        )


async def test_users(world):
    send = world.client.send
    assert await send(endpoints.user(world.user.id)) == world.user
    assert await send(endpoints.user_by_telegram_id(42)) == world.user
    changed = await send(endpoints.update_user(world.user.id, UserUpdate(timezone="Asia/Tokyo")))
    assert (changed.timezone, changed.first_name) == ("Asia/Tokyo", "Ada")
    async with client_of(world.app, ADMIN_KEY) as admin:
        assert await admin.send(endpoints.users()) == [changed]
        assert await admin.send(endpoints.users(role="owner")) == []
        with pytest.raises(NotFoundError):
            await send(endpoints.owner())
        owner = await admin.send(endpoints.create_user(UserCreate(telegram_id=43, role=UserRole.OWNER)))
        assert await send(endpoints.owner()) == owner
    with pytest.raises(ConflictError, match="telegram_id"):
        await send(endpoints.create_user(UserCreate(telegram_id=42)))
    with pytest.raises(NotFoundError):
        await send(endpoints.user(4711))
    with pytest.raises(NotFoundError):
        await send(endpoints.user_by_telegram_id(4711))


async def test_the_people_of_another_bot_are_nobody(world):
    send = world.client.send
    bot = BotPut(id=7, username="seven")
    assert (await send(endpoints.set_current_bot(bot))).id == 7
    assert (await send(endpoints.user(world.user.id))).bot_id == 7
    await send(endpoints.set_current_bot(BotPut(id=8)))
    with pytest.raises(NotFoundError):
        await send(endpoints.user(world.user.id))


async def test_assistants(world):
    send = world.client.send
    assert await send(endpoints.assistants()) == [world.secretary, world.planner]
    assert await send(endpoints.assistants(secretaries_only=True)) == [world.secretary]
    assert await send(endpoints.assistant(world.planner.id)) == world.planner
    assert [tool.name for tool in await send(endpoints.tools())] == ["ask_planner", "clock"]
    links = await send(endpoints.links(world.secretary.id))
    assert {link.assistant_id for link in links} == {world.secretary.id}
    tree = await send(endpoints.assistant_tree(world.secretary.id))
    assert tree.root_id == world.secretary.id
    assert tree.assistants == [world.secretary, world.planner]
    assert world.clock in tree.tools
    assert tree.links == links
    for call in (endpoints.assistant(GONE), endpoints.assistant_tree(GONE)):
        with pytest.raises(NotFoundError):
            await send(call)


async def test_threads(world):
    send = world.client.send
    new = UserThreadCreate(user_id=world.user.id, assistant_id=world.secretary.id, thread_id="conv_1")
    made = await send(endpoints.create_thread(new))
    assert await send(endpoints.threads(world.user.id, world.secretary.id)) == [made]
    changed = await send(endpoints.update_thread(made.id, UserThreadUpdate(thread_id="conv_2")))
    assert (changed.thread_id, changed.last_used) == ("conv_2", made.last_used)
    assert await send(endpoints.user_threads(world.user.id)) == [changed]
    assert await send(endpoints.user_threads(4711)) == []
    assert await send(endpoints.any_thread()) == [changed]
    with pytest.raises(ConflictError):
        await send(endpoints.create_thread(new))
    await send(endpoints.delete_thread(made.id))
    assert await send(endpoints.any_thread()) == []
    with pytest.raises(NotFoundError):
        await send(endpoints.delete_thread(made.id))


async def test_discards(world):
    send = world.client.send
    new = UserThreadCreate(user_id=world.user.id, assistant_id=world.secretary.id, thread_id="conv_1")
    await send(endpoints.delete_thread((await send(endpoints.create_thread(new))).id))
    (discard,) = await send(endpoints.discards())
    assert (discard.kind, discard.reference) == (DiscardKind.THREAD, "conv_1")
    await send(endpoints.delete_discard(discard.id))
    assert await send(endpoints.discards()) == []
    with pytest.raises(NotFoundError):
        await send(endpoints.delete_discard(discard.id))


async def test_usage(world):
    record = UsageCreate(
        id="tg:1:Secretary:a/b", message_id="tg:1", user_id=world.user.id, assistant_id=world.secretary.id,
        assistant="Secretary", model="a/b", input_tokens=9, at=WHEN,
    )  # fmt: skip
    gone = record.model_copy(update={"id": "tg:1:Gone:a/b", "assistant_id": GONE})
    call = endpoints.record_usage([record, gone])
    assert call.idempotent
    assert (await world.client.send(call)).stored == 2
    assert (await world.client.send(call)).stored == 0


async def test_a_job_with_a_key_is_made_once(world):
    send = world.client.send
    new = CronJobCreate(
        name="Vitamins",
        run_at=WHEN,
        user_id=world.user.id,
        message="Take them",
        idempotency_key="tg:1:call_1",
    )
    call = endpoints.create_job(new)
    assert call.idempotent
    job = await send(call)
    assert await send(call) == job
    other = await send(endpoints.create_user(UserCreate(telegram_id=43)))
    await send(endpoints.create_job(new.model_copy(update={"user_id": other.id})))
    assert await send(endpoints.user_jobs(world.user.id)) == [job]
    assert await send(endpoints.job(job.id)) == job
    await send(endpoints.delete_job(job.id))
    assert await send(endpoints.user_jobs(world.user.id)) == []
    with pytest.raises(NotFoundError):
        await send(endpoints.delete_job(job.id))


async def test_jobs_and_firings(world):
    send = world.client.send
    new = CronJobCreate(name="Vitamins", run_at=WHEN, user_id=world.user.id, message="Take them")
    job = await send(endpoints.create_job(new))
    assert (job.chat_id, job.next_run_at) == (42, WHEN)
    assert await send(endpoints.jobs()) == [job]
    firing = await send(endpoints.claim_firing(job.id, WHEN, "cron-1"))
    with pytest.raises(ConflictError):
        await send(endpoints.claim_firing(job.id, WHEN, "cron-2"))
    (open_firing,) = await send(endpoints.open_firings())
    assert open_firing.model_dump().items() <= firing.model_dump().items()
    done = await send(endpoints.report_firing(job.id, firing.id, FiringUpdate(status="done")))
    assert done.finished_at is not None
    assert await send(endpoints.open_firings()) == []
    assert await send(endpoints.jobs()) == [], "it was to fire once"
    again = await send(endpoints.update_job(job.id, CronJobUpdate(run_at=WHEN.replace(day=25))))
    assert await send(endpoints.jobs()) == [again]


async def test_calendars(world):
    send = world.client.send
    tokens = CalendarTokensWrite(access_token="a", refresh_token="r", expires_at=WHEN, scopes=["s"])
    stored = await send(endpoints.store_calendar_tokens(world.user.id, tokens))
    assert (stored.status, stored.has_refresh_token) == ("linked", True)
    read = await send(endpoints.calendar_tokens(world.user.id))
    assert (read.access_token, read.refresh_token, read.expires_at) == ("a", "r", WHEN)
    revoked = await send(endpoints.update_calendar(world.user.id, CalendarUpdate(status="revoked")))
    assert await send(endpoints.calendar(world.user.id)) == revoked
    await send(endpoints.delete_calendar(world.user.id))
    for call in (endpoints.calendar(world.user.id), endpoints.calendar_tokens(world.user.id)):
        with pytest.raises(NotFoundError):
            await send(call)


async def test_all_pages_are_read(world):
    for telegram_id in range(100, 100 + endpoints.PAGE + 5):
        await world.client.send(endpoints.create_user(UserCreate(telegram_id=telegram_id)))
    async with client_of(world.app, ADMIN_KEY) as admin:
        rows = await admin.all_pages(endpoints.users)
    assert len({row.id for row in rows}) == endpoints.PAGE + 6


async def test_a_wrong_key_is_an_access_error(world):
    async with client_of(world.app, "wrong") as stranger:
        with pytest.raises(AccessError) as refusal:
            await stranger.send(endpoints.user(world.user.id))
    assert refusal.value.status == 401


async def test_a_refusal_carries_its_sentence_and_field(world):
    new = CronJobCreate(name="n", cron_expression="0 25 * * *", user_id=world.user.id, message="m")
    with pytest.raises(RestError, match="'25' is not a valid hour") as refusal:
        await world.client.send(endpoints.create_job(new))
    assert (refusal.value.status, refusal.value.body.field) == (422, "cron_expression")


def test_every_call_of_the_client_is_tried_above():
    calls = {
        name
        for name, function in inspect.getmembers(endpoints, inspect.isfunction)
        if function.__module__ == endpoints.__name__ and not name.startswith("_")
    }
    tried = Path(__file__).read_text()
    assert {name for name in calls if f"endpoints.{name}(" not in tried} == set()
