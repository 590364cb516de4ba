"""People belong to a bot: those of another one than the one that plays are nobody, and are kept."""

import asyncio

import pytest
from sqlalchemy import create_engine, text

from rest_service.tests.support import SERVICE_KEY
from service_kit.changes import Topic

pytestmark = pytest.mark.integration

SANDBOX, REAL = 100_000, 7_100_200_300
SOON = "2026-12-24T18:00:00Z"


async def play(api, bot_id):
    response = await api.put("/api/bot", {"id": bot_id, "username": f"bot_{bot_id}"})
    assert response.status_code == 200, response.text
    return response.json()


async def ids(api, query=""):
    return [user["id"] for user in (await api.get(f"/api/users{query}")).json()]


async def test_the_people_of_another_bot_are_nobody_until_it_plays_again(api):
    await play(api, SANDBOX)
    owner = await api.a_user(1001, role="owner")
    assert owner["bot_id"] == SANDBOX
    await play(api, REAL)
    for path in (f"/api/users/{owner['id']}", "/api/users/by-telegram-id/1001"):
        assert (await api.get(path)).status_code == 404
    assert await ids(api) == []
    assert await ids(api, f"?bot_id={SANDBOX}") == [owner["id"]]
    stranger = await api.a_user(1001)
    real_owner = await api.a_user(5, role="owner")
    assert (await api.get("/api/users/by-telegram-id/1001")).json()["id"] == stranger["id"]
    await play(api, SANDBOX)
    assert (await api.get("/api/users/by-telegram-id/1001")).json() == owner
    assert await ids(api) == [owner["id"]]
    await play(api, REAL)
    assert await ids(api, "?role=owner") == [real_owner["id"]]


async def test_a_telegram_id_and_an_owner_are_there_once_for_each_bot(api):
    for bot in (None, SANDBOX, REAL):
        if bot:
            await play(api, bot)
        if bot != SANDBOX:  # it has taken over those who were there before any bot
            await api.a_user(1001, role="owner")
        again = await api.post("/api/users", {"telegram_id": 1001})
        assert (again.status_code, again.json()["field"]) == (409, "telegram_id")
        second = await api.post("/api/users", {"telegram_id": 1002, "role": "owner"})
        assert (second.status_code, second.json()["field"]) == (409, "role")


async def test_the_first_bot_takes_over_who_was_there_before_it_and_no_other_does(api):
    early = await api.a_user(1001)
    assert early["bot_id"] == 0
    await play(api, SANDBOX)
    assert (await api.get("/api/users/by-telegram-id/1001")).json()["id"] == early["id"]
    await play(api, REAL)
    assert await ids(api) == []


async def test_jobs_of_another_bots_people_do_not_fire(api):
    await play(api, SANDBOX)
    job = await api.a_job(await api.a_user(1001), run_at=SOON)
    claim = f"/api/cron-jobs/{job['id']}/firings"
    taken = await api.a_job(await api.a_user(1002), run_at=SOON)
    await api.made(f"/api/cron-jobs/{taken['id']}/firings", {"scheduled_for": SOON}, key=SERVICE_KEY)
    await play(api, REAL)
    for path in ("/api/cron-jobs", "/api/cron-jobs?after_id=0", "/api/cron-jobs/firings"):
        assert (await api.get(path)).json() == []
    assert (await api.get("/api/cron-jobs?limit=1")).headers["X-Total-Count"] == "0"
    refused = await api.post(claim, {"scheduled_for": SOON}, key=SERVICE_KEY)
    assert refused.status_code == 409
    await play(api, SANDBOX)
    assert [row["id"] for row in (await api.get("/api/cron-jobs?after_id=0")).json()] == [
        job["id"],
        taken["id"],
    ]
    assert len((await api.get("/api/cron-jobs/firings")).json()) == 1
    await api.made(claim, {"scheduled_for": SOON}, key=SERVICE_KEY)


async def test_another_bot_is_announced_to_those_who_keep_users_and_jobs(api, redis_client):
    async def counters():
        return [int(number or 0) for number in await redis_client.mget(Topic.USERS, Topic.JOBS)]

    await play(api, SANDBOX)
    before = await counters()
    await play(api, SANDBOX)
    assert await counters() == before
    await play(api, REAL)
    assert all(now > then for now, then in zip(await counters(), before, strict=True))


async def test_bots_that_begin_at_once_leave_one_that_plays(api, settings):
    await asyncio.gather(*(play(api, bot) for bot in (1, 2, 3, 4) * 3))
    engine = create_engine(settings.sync_database_url)
    with engine.begin() as connection:
        found = connection.execute(text("SELECT id FROM telegram_bots WHERE is_current")).all()
    engine.dispose()
    assert len(found) == 1


@pytest.mark.parametrize("bot_id", [0, -1, "7", True, 2**60])
async def test_what_is_no_id_of_a_bot_is_refused(api, bot_id):
    assert (await api.put("/api/bot", {"id": bot_id})).status_code == 422
