"""The bot's client of users, against rest_service and against its stand-in in tg_bot's tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from pydantic import SecretStr

from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, empty, make_settings, migrated_database, running
from service_kit.changes import Topic, announce
from service_kit.contracts.users import UserRead, UserRole, UserUpdate
from service_kit.errors import ConflictError, NotFoundError, RestError
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.rest.endpoints import Call
from service_kit.settings import RedisSettings, RestClientSettings
from tg_bot.src.client.rest import RestClient
from tg_bot.tests.standin import RestStandIn, rest_settings, serving

pytestmark = pytest.mark.integration

SEEN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOBODY = 4242


@pytest.fixture(scope="module")
def bot_users_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "bot_users") as url:
        yield url


@pytest.fixture(params=["rest_service", "stand-in"])
async def client(
    request: pytest.FixtureRequest,
    bot_users_url: str,
    redis_settings: RedisSettings,
    redis_client: aioredis.Redis,
) -> AsyncIterator[AsyncRestClient]:
    """The kit's client of one of the two, without users."""
    async with AsyncExitStack() as stack:
        if request.param == "stand-in":
            standin = RestStandIn()
            standin.on_change = lambda: announce(redis_client, Topic.USERS)
            await stack.enter_async_context(serving(standin))
            settings, transport = rest_settings(standin), None
        else:
            empty(bot_users_url)
            app = create_app(make_settings(bot_users_url, redis_settings))
            await stack.enter_async_context(running(app))
            settings = RestClientSettings(
                rest_service_url="http://rest_service:8000", service_api_key=SecretStr(SERVICE_KEY)
            )
            transport = httpx2.ASGITransport(app=app)
        yield await stack.enter_async_context(AsyncRestClient(settings, transport=transport))


@pytest.fixture
def users(client: AsyncRestClient, redis_client: aioredis.Redis) -> RestClient:
    return RestClient(client, redis_client)


async def changes_announced(redis: aioredis.Redis) -> int:
    return int(await redis.get(Topic.USERS) or 0)


def format_zone(user: UserRead) -> dict[str, Any]:
    return user.model_dump(mode="json", exclude={"id", "bot_id", "created_at", "updated_at"})


async def test_a_new_user_is_a_reachable_member_and_known_by_both_numbers(users):
    made = await users.create_user(1001, "ada", first_name="Ada", language="en")
    assert format_zone(made) == {
        "telegram_id": 1001,
        "username": "ada",
        "first_name": "Ada",
        "language": "en",
        "timezone": None,
        "role": "member",
        "is_active": True,
        "last_seen_at": None,
    }
    assert await users.get_user(1001) == await users.get_user_by_id(made.id) == made


async def test_what_is_not_told_is_null(users):
    made = await users.create_user(1001)
    assert (made.username, made.first_name, made.language) == (None, None, None)


async def test_strangers_are_nobody(users, client):
    assert await users.get_user(NOBODY) is None
    assert await users.get_user_by_id(NOBODY) is None
    with pytest.raises(NotFoundError):
        await client.send(endpoints.update_user(NOBODY, UserUpdate(first_name="Ada")))


async def test_an_account_has_one_row(users, client):
    first = await users.create_user(1001, first_name="Ada")
    with pytest.raises(ConflictError):
        await users.create_user(1001, first_name="Grace")
    assert (await users.get_or_create_user(1001, first_name="Grace")) == first


async def test_there_is_one_owner(users):
    member = await users.create_user(1001)
    owner = await users.update_user(member, UserUpdate(role=UserRole.OWNER))
    assert owner.role is UserRole.OWNER
    assert (await users.update_user(owner, UserUpdate(role=UserRole.OWNER))).role is UserRole.OWNER
    with pytest.raises(ConflictError):
        await users.create_user(2002, role=UserRole.OWNER)
    other = await users.create_user(3003)
    with pytest.raises(ConflictError):
        await users.update_user(other, UserUpdate(role=UserRole.OWNER))


async def test_a_change_leaves_the_other_fields(users):
    made = await users.create_user(1001, "ada", first_name="Ada", language="en")
    changed = await users.update_user(made, UserUpdate(first_name="Grace", username=None, is_active=False))
    expected = format_zone(made) | {"first_name": "Grace", "username": None, "is_active": False}
    assert format_zone(changed) == expected
    assert format_zone(await users.get_user_by_id(made.id)) == expected


async def test_changes_are_announced_but_for_when_a_user_was_seen(users, redis_client):
    made = await users.create_user(1001)
    after_making = await changes_announced(redis_client)
    assert after_making > 0
    seen = await users.update_user(made, UserUpdate(last_seen_at=SEEN))
    assert seen.last_seen_at == SEEN
    assert await changes_announced(redis_client) == after_making
    await users.update_user(made, UserUpdate(last_seen_at=SEEN, is_active=False))
    assert await changes_announced(redis_client) > after_making


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/users/by-telegram-id/9007199254740993", None),
        ("GET", "/api/users/by-telegram-id/Ada", None),
        ("POST", "/api/users", {"telegram_id": "1001"}),
        ("POST", "/api/users", {"telegram_id": 1001, "mood": "sunny"}),
        ("POST", "/api/users", {"telegram_id": 1001, "first_name": "A\0da"}),
        ("POST", "/api/users", {"telegram_id": 1001, "role": "guest"}),
        ("PATCH", "/api/users/{id}", {"language": "not a language"}),
        ("PATCH", "/api/users/{id}", {"is_active": None}),
        ("PATCH", "/api/users/{id}", {"last_seen_at": 5}),
        ("PUT", "/api/bot", {"id": -1}),
    ],
)
async def test_what_is_wrong_is_refused(users, client, method, path, body):
    made = await users.create_user(5005)
    path = path.replace("{id}", str(made.id))
    call: Call[UserRead] = Call(method, path, endpoints.user(1).answer, json=body)
    with pytest.raises(RestError) as refused:
        await client.send(call)
    assert refused.value.status == 422


async def test_a_bot_plays(users):
    await users.set_current_bot(7_100_200_300, "my_bot")
    made = await users.create_user(1001)
    await users.set_current_bot(7_100_200_300, "my_renamed_bot")
    assert await users.get_user(1001) == made
