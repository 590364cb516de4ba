"""The reminder tool against the real rest_service, in one process: what is told, and what is stored."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI
from pydantic import SecretStr

from assistant.src.core.errors import InvalidInputError, ToolExecutionError
from assistant.src.core.run_context import UserProfile
from assistant.src.services.reminders import Reminders
from assistant.src.tools.reminder_tool import ReminderTool
from assistant.tests.fakes import context_of
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, Api, empty, make_settings, migrated_database, running
from service_kit.contracts.users import UserRead
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings
from service_kit.testing.clock import FakeClock

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def client_of(app: FastAPI, key: str = SERVICE_KEY) -> AsyncRestClient:
    settings = RestClientSettings(rest_service_url="http://rest_service:8000", service_api_key=SecretStr(key))
    return AsyncRestClient(settings, transport=httpx2.ASGITransport(app=app))


@pytest.fixture(scope="module")
def reminders_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "reminders") as url:
        yield url


@pytest.fixture(scope="module")
def _apps() -> dict[str, FastAPI]:
    return {}


@pytest.fixture
def app(reminders_url: str, redis_settings: RedisSettings, _apps: dict[str, FastAPI]) -> FastAPI:
    """One for all tests, for making its routes takes longer than a test."""
    if "app" not in _apps:
        _apps["app"] = create_app(make_settings(reminders_url, redis_settings))
    return _apps["app"]


@dataclass
class World:
    """The tool as two users have it, and rest_service behind it."""

    admin: Api
    tool: ReminderTool
    users: dict[str, UserRead]
    clock: FakeClock
    calls: int = 0

    async def say(
        self, who: str = "ada", *, key: str | None = None, again: bool = False, **given: Any
    ) -> Any:
        """One call; each has a key of its own unless told otherwise."""
        self.calls += 1
        user = (await self.admin.get(f"/api/users/{self.users[who].id}")).json()
        context = replace(
            context_of(message_id=key or f"tg:{self.calls}"),
            user=UserProfile.of(UserRead.model_validate(user)),
            clock=self.clock,
            repeated=again,
        )
        return json.loads(await self.tool.execute(self.tool.check(given), context))

    async def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.admin.get("/api/cron-jobs")).json()
        return found


@pytest.fixture
async def world(app: FastAPI, reminders_url: str, redis_client: aioredis.Redis) -> AsyncIterator[World]:
    empty(reminders_url)
    clock = FakeClock(NOW)
    async with running(app, clock) as admin, client_of(app) as client:
        users = {
            "ada": await admin.a_user(1, first_name="Ada", timezone="Europe/Berlin"),
            "eve": await admin.a_user(2, first_name="Eve", timezone="Asia/Tokyo"),
            "nemo": await admin.a_user(3, first_name="Nemo"),
        }
        read = {name: UserRead.model_validate(row) for name, row in users.items()}
        yield World(admin, ReminderTool(Reminders(client)), read, clock)


async def test_once_at_a_local_time(world):
    answer = await world.say(action="create", text="Call mum", at="2026-11-23T09:00")
    (job,) = await world.jobs()
    assert answer == {
        "status": "created",
        "reminder": {
            "id": job["id"],
            "text": "Call mum",
            "next": {
                "date": "2026-11-23",
                "time": "09:00",
                "weekday": "Monday",
                "timezone": "Europe/Berlin",
                "utc_offset": "+01:00",
            },
        },
    }
    assert (job["run_at"], job["timezone"], job["user_id"]) == (
        "2026-11-23T08:00:00Z",
        "Europe/Berlin",
        world.users["ada"].id,
    )
    assert (job["message"], job["name"], job["cron_expression"]) == ("Call mum", "Call mum", None)


async def test_in_some_minutes(world):
    answer = await world.say(action="create", text="Tea", in_minutes=10)
    assert answer["reminder"]["next"]["time"] == "13:10"
    assert (await world.jobs())[0]["run_at"] == "2026-11-22T12:10:00Z"


async def test_again_and_again_tells_the_next_times_where_the_user_is(world):
    answer = await world.say(action="create", text="Vitamins", cron=" 0  9 * * 1-5 ")
    reminder = answer["reminder"]
    assert (reminder["cron"], reminder["cron_timezone"]) == ("0 9 * * 1-5", "Europe/Berlin")
    assert (reminder["next"]["weekday"], reminder["next"]["time"]) == ("Monday", "09:00")
    assert reminder["following"] == ["2026-11-24T09:00", "2026-11-25T09:00"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"text": "x"}, "say when"),
        ({"at": "2026-11-23T09:00"}, "say in `text`"),
        ({"text": "  ", "in_minutes": 5}, "say in `text`"),
        ({"text": "x" * 2001, "in_minutes": 5}, "2001 characters"),
        ({"text": "x", "at": "09:00", "in_minutes": 5}, "only one of at, in_minutes"),
        ({"text": "x", "at": "2026-11-21T09:00"}, "is over: it is 2026-11-22T13:00 in Europe/Berlin now$"),
        ({"text": "x", "at": "09:00"}, "perhaps 2026-11-23T09:00 is meant"),
        ({"text": "x", "at": "2026-11-22T13:00"}, "is over"),
        ({"text": "x", "at": "noon"}, "is not a time"),
        ({"text": "x", "at": "9999-12-31T23:59", "timezone": "America/New_York"}, "out of the calendar"),
        ({"text": "x", "at": "23:00", "timezone": "Narnia"}, "not an IANA time zone"),
        ({"text": "x", "cron": "every day"}, "five fields"),
        ({"text": "x", "cron": "99 9 * * *"}, "minute"),
        ({"text": "x", "in_minutes": 0}, "minimum"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_explained_and_nothing_is_made(world, given, reason):
    with pytest.raises(InvalidInputError, match=reason):
        await world.say(action="create", **given)
    assert await world.jobs() == []


async def test_what_a_model_leaves_empty_was_not_given(world):
    await world.say(action="create", text="Tea", in_minutes=5, at="", cron=None, id=None)
    assert len(await world.jobs()) == 1


async def test_characters_that_no_database_takes_are_left_out(world):
    await world.say(action="create", text="a\0b \ud800", in_minutes=5)
    assert (await world.jobs())[0]["message"] == "ab ?"


async def test_a_time_that_a_clock_change_skips_is_said_to_be_odd(world):
    answer = await world.say(action="create", text="x", at="2027-03-28T02:30")
    assert "does not exist" in answer["note"]
    assert answer["reminder"]["next"]["time"] == "03:30"


async def test_without_a_known_zone_the_model_is_told_to_ask(world):
    for given in ({"at": "2026-11-23T09:00"}, {"cron": "0 9 * * *"}):
        with pytest.raises(InvalidInputError, match="ask in which city"):
            await world.say("nemo", action="create", text="x", **given)
    answer = await world.say("nemo", action="create", text="x", in_minutes=5)
    assert "this is UTC" in answer["note"]


async def test_a_zone_told_for_a_reminder_is_kept_for_the_next(world):
    answer = await world.say(
        "nemo", action="create", text="x", at="2026-11-23T09:00", timezone="America/New_York"
    )
    assert answer["reminder"]["next"]["utc_offset"] == "-05:00"
    assert "is kept as the user's time zone" in answer["note"]
    second = await world.say("nemo", action="create", text="y", at="2026-11-23T10:00")
    assert second["reminder"]["next"]["timezone"] == "America/New_York"
    assert "note" not in second


async def test_utc_as_an_assumption_is_not_kept(world):
    await world.say("nemo", action="create", text="x", at="23:00", timezone="UTC")
    assert (await world.admin.get(f"/api/users/{world.users['nemo'].id}")).json()["timezone"] is None


async def test_another_zone_does_not_become_the_users(world):
    answer = await world.say(action="create", text="x", at="2026-11-23T09:00", timezone="Asia/Tokyo")
    assert answer["reminder"]["next"]["timezone"] == "Asia/Tokyo"
    user = (await world.admin.get(f"/api/users/{world.users['ada'].id}")).json()
    assert user["timezone"] == "Europe/Berlin"


async def test_the_list_is_the_users_own_soonest_first(world):
    later = await world.say(action="create", text="later", at="2026-12-01T09:00")
    daily = await world.say(action="create", text="daily", cron="0 20 * * *")
    await world.say("eve", action="create", text="eve's secret", in_minutes=1)
    listed = (await world.say(action="list"))["reminders"]
    assert [one["id"] for one in listed] == [daily["reminder"]["id"], later["reminder"]["id"]]
    assert listed[1] == later["reminder"]
    assert (await world.say("nemo", action="list")) == {"reminders": []}


async def test_a_long_list_says_how_much_is_not_shown(world):
    for number in range(52):
        await world.say(action="create", text=f"n{number}", in_minutes=number + 1)
    answer = await world.say(action="list")
    assert (len(answer["reminders"]), answer["not_shown"]) == (50, 2)


async def test_a_text_is_changed_and_the_time_stays(world):
    made = (await world.say(action="create", text="Tea", in_minutes=10))["reminder"]
    changed = await world.say(action="change", id=made["id"], text="Coffee")
    assert changed == {"status": "changed", "reminder": made | {"text": "Coffee"}}
    (job,) = await world.jobs()
    assert (job["name"], job["message"]) == ("Coffee", "Coffee")


async def test_a_one_shot_becomes_recurring_and_back(world):
    number = (await world.say(action="create", text="x", in_minutes=10))["reminder"]["id"]
    daily = await world.say(action="change", id=number, cron="0 7 * * *")
    assert daily["reminder"]["cron"] == "0 7 * * *"
    once = await world.say(action="change", id=number, at="2026-11-30T08:00")
    assert "cron" not in once["reminder"]
    assert once["reminder"]["next"]["date"] == "2026-11-30"


async def test_a_change_of_nothing_is_explained(world):
    number = (await world.say(action="create", text="x", in_minutes=10))["reminder"]["id"]
    with pytest.raises(InvalidInputError, match="say what to change"):
        await world.say(action="change", id=number)
    with pytest.raises(InvalidInputError, match="is over"):
        await world.say(action="change", id=number, at="2026-11-01T09:00")


async def test_cancelling(world):
    number = (await world.say(action="create", text="x", in_minutes=10))["reminder"]["id"]
    assert await world.say(action="cancel", id=number) == {
        "status": "cancelled",
        "reminder": {"id": number, "text": "x"},
    }
    assert await world.jobs() == []
    with pytest.raises(InvalidInputError, match=f"no reminder {number}"):
        await world.say(action="cancel", id=number)


async def test_a_cancelling_that_a_crash_repeats_is_still_one(world):
    number = (await world.say(action="create", text="x", in_minutes=10))["reminder"]["id"]
    await world.say(action="cancel", id=number)
    again = await world.say(action="cancel", id=number, again=True)
    assert again == {"status": "cancelled", "reminder": {"id": number}}


@pytest.mark.parametrize("given", [{"action": "change", "text": "y"}, {"action": "cancel"}])
async def test_somebody_elses_reminder_is_not_there(world, given):
    number = (await world.say("eve", action="create", text="secret", in_minutes=10))["reminder"]["id"]
    with pytest.raises(InvalidInputError) as raised:
        await world.say("ada", id=number, **given)
    with pytest.raises(InvalidInputError) as unknown:
        await world.say("ada", id=number + 1000, **given)
    assert str(raised.value).replace(str(number), "") == str(unknown.value).replace(str(number + 1000), "")
    (job,) = await world.jobs()
    assert job["message"] == "secret"


@pytest.mark.parametrize("given", [{"action": "change", "text": "y"}, {"action": "cancel"}])
async def test_without_an_id_the_model_is_told_to_look(world, given):
    with pytest.raises(InvalidInputError, match="`list` tells the ids"):
        await world.say(**given)


async def test_an_id_that_no_job_can_have(world):
    with pytest.raises(InvalidInputError):
        await world.say(action="cancel", id=2**40)


async def test_the_same_key_makes_one_job_whatever_is_said_the_second_time(world):
    first = await world.say(key="tg:7:1", action="create", text="Tea", in_minutes=10)
    second = await world.say(key="tg:7:1", action="create", text="Drink tea", in_minutes=11)
    assert second == first
    assert len(await world.jobs()) == 1


async def test_rest_service_away_is_no_promise(world):
    nobody = RestClientSettings(rest_service_url="http://127.0.0.1:1", service_api_key=SecretStr("x"))
    async with AsyncRestClient(nobody) as client:
        world.tool = ReminderTool(Reminders(client))
        with pytest.raises(ToolExecutionError, match="do not say that it has worked"):
            await world.say(action="create", text="x", in_minutes=5)


async def test_a_wrong_key_shows_the_model_nothing(world):
    async with client_of(world.admin.app, key="wrong") as client:
        world.tool = ReminderTool(Reminders(client))
        with pytest.raises(ToolExecutionError, match="only the operator"):
            await world.say(action="list")
