import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from service_kit.changes import Topic

pytestmark = pytest.mark.integration

# the clock of these tests stands at 2026-11-22T12:00Z, a Sunday


@pytest.fixture
async def user(api):
    return await api.a_user(4242)


async def test_life_of_a_job(api, user):
    made = await api.a_job(user, timezone="Europe/Berlin", priority="high")
    assert made["chat_id"] == 4242
    assert made["next_run_at"] == "2026-11-23T08:00:00Z", "9:00 in Berlin"
    for path in (f"/api/cron-jobs/{made['id']}", f"/api/cronjobs/{made['id']}/"):
        assert (await api.get(path)).json() == made
    path = f"/api/cron-jobs/{made['id']}"
    changed = (await api.patch(path, {"timezone": "Asia/Tokyo"})).json()
    assert changed["next_run_at"] == "2026-11-23T00:00:00Z"
    off = (await api.patch(path, {"is_active": False})).json()
    assert off["next_run_at"] is None
    body = {"name": "n", "cron_expression": "*/5 * * * *", "user_id": user["id"], "message": "m"}
    assert (await api.put(path, body)).json()["next_run_at"] == "2026-11-22T12:05:00Z"
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_job_changes_between_recurring_and_once(api, user):
    made = await api.a_job(user)
    path = f"/api/cron-jobs/{made['id']}"
    run_at = "2026-12-24T18:00:00Z"
    both = await api.patch(path, {"run_at": run_at})
    assert both.status_code == 422
    assert "null for the old one" in both.json()["message"]
    once = await api.patch(path, {"run_at": run_at, "cron_expression": None})
    assert once.json()["next_run_at"] == run_at
    neither = await api.patch(path, {"run_at": None})
    assert neither.status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron_expression": "0 25 * * *"}, "cron_expression"),
        ({"cron_expression": "0 0 9 * * *"}, "cron_expression"),
        ({"cron_expression": "0 9 31 2 *"}, "cron_expression"),
        ({"timezone": "Berlin"}, "timezone"),
        ({"user_id": 4711}, "user_id"),
        ({"user_id": 2**40}, "user_id"),
        ({"message": ""}, "message"),
        ({"priority": "urgent"}, "priority"),
        ({"run_at": "2026-12-24T18:00:00Z"}, "cron_expression"),
    ],
)
async def test_a_wrong_job_is_refused_with_its_field(api, user, change, field):
    body = {"name": "n", "cron_expression": "0 9 * * *", "user_id": user["id"], "message": "m"} | change
    refused = await api.post("/api/cron-jobs", body)
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text


async def test_the_scheduler_lists_what_runs(api, user):
    running = await api.a_job(user)
    await api.a_job(user, is_active=False)
    done = await api.a_job(user, run_at="2026-11-22T11:00:00Z")
    await api.patch(f"/api/cron-jobs/{done['id']}", {"status": "done"})
    rows = (await api.get("/api/cronjobs", params={"is_active": "true", "status": "active"})).json()
    assert [row["id"] for row in rows] == [running["id"]]
    assert len((await api.get("/api/cron-jobs", params={"user_id": user["id"]})).json()) == 3


async def claim(api, job, scheduled_for="2026-11-22T12:00:00Z"):
    return await api.post(f"/api/cron-jobs/{job['id']}/firings", {"scheduled_for": scheduled_for})


async def report(api, firing, **change):
    return await api.patch(f"/api/cron-jobs/{firing['cron_job_id']}/firings/{firing['id']}", change)


async def test_a_firing_is_claimed_once(api, user):
    job = await api.a_job(user)
    answers = await asyncio.gather(*(claim(api, job) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    # the same moment, written in another zone
    assert (await claim(api, job, "2026-11-22T13:00:00+01:00")).status_code == 409
    assert (await claim(api, job, "2026-11-23T12:00:00Z")).status_code == 201


async def test_a_recurring_job_goes_on_after_a_firing(api, user, clock):
    job = await api.a_job(user, cron_expression="0 13 * * *")
    clock.move(hours=1)
    firing = (await claim(api, job, "2026-11-22T13:00:00Z")).json()
    assert (firing["status"], firing["finished_at"]) == ("running", None)
    stored = (await api.get(f"/api/cron-jobs/{job['id']}")).json()
    assert stored["next_run_at"] == "2026-11-23T13:00:00Z"
    assert stored["last_run_at"] is not None
    done = await report(api, firing, status="done")
    assert done.json()["finished_at"] is not None
    assert (await api.get(f"/api/cron-jobs/{job['id']}")).json()["status"] == "active"


async def test_a_job_that_fires_once_is_over_with_its_firing(api, user):
    job = await api.a_job(user, run_at="2026-11-22T12:00:00Z")
    firing = (await claim(api, job)).json()
    assert (await report(api, firing, status="done")).status_code == 200
    stored = (await api.get(f"/api/cron-jobs/{job['id']}")).json()
    assert (stored["status"], stored["next_run_at"]) == ("done", None)
    assert (await claim(api, job, "2026-11-22T12:30:00Z")).status_code == 409, "it is over"
    again = (await api.patch(f"/api/cron-jobs/{job['id']}", {"run_at": "2026-11-22T12:10:00Z"})).json()
    assert (again["status"], again["next_run_at"]) == ("active", "2026-11-22T12:10:00Z")


async def test_a_failed_firing_fails_a_job_that_fires_once(api, user):
    job = await api.a_job(user, run_at="2026-11-22T12:00:00Z")
    firing = (await claim(api, job)).json()
    failed = (await report(api, firing, status="failed", error="queue full")).json()
    assert failed["error"] == "queue full"
    assert (await api.get(f"/api/cron-jobs/{job['id']}")).json()["status"] == "failed"


async def test_a_job_given_a_later_time_meanwhile_is_not_over(api, user):
    job = await api.a_job(user, run_at="2026-11-22T12:00:00Z")
    firing = (await claim(api, job)).json()
    await api.patch(f"/api/cron-jobs/{job['id']}", {"run_at": "2026-11-22T12:10:00Z"})
    await report(api, firing, status="done")
    stored = (await api.get(f"/api/cron-jobs/{job['id']}")).json()
    assert (stored["status"], stored["next_run_at"]) == ("active", "2026-11-22T12:10:00Z")


async def test_a_report_stands(api, user):
    job = await api.a_job(user)
    firing = (await claim(api, job)).json()
    first = (await report(api, firing, status="done")).json()
    assert (await report(api, firing, status="done")).json() == first, "sent twice, it changes nothing"
    assert (await report(api, firing, status="running")).status_code == 409
    other = await api.a_job(user)
    assert (await report(api, firing | {"cron_job_id": other["id"]}, status="done")).status_code == 404


async def test_firings_are_listed_of_one_job_and_of_all(api, user):
    one, other = await api.a_job(user), await api.a_job(user)
    first, second = (await claim(api, one)).json(), (await claim(api, other)).json()
    await report(api, first, status="done")
    open_ones = (await api.get("/api/cron-jobs/firings", params={"status": "running"})).json()
    assert [row["id"] for row in open_ones] == [second["id"]]
    mine = await api.get(f"/api/cron-jobs/{one['id']}/firings")
    assert [row["status"] for row in mine.json()] == ["done"]
    assert mine.headers["X-Total-Count"] == "1"
    assert (await api.get("/api/cron-jobs/4711/firings")).status_code == 404


async def test_a_job_that_is_off_or_gone_does_not_fire(api, user):
    job = await api.a_job(user, is_active=False)
    assert (await claim(api, job)).status_code == 409
    assert (await claim(api, {"id": 4711})).status_code == 404


async def test_edits_are_announced_and_firings_are_not(api, user, redis_client):
    start = int(await redis_client.get(Topic.JOBS))
    job = await api.a_job(user)
    assert int(await redis_client.get(Topic.JOBS)) == start + 1
    await claim(api, job)
    assert int(await redis_client.get(Topic.JOBS)) == start + 1
    await api.patch(f"/api/cron-jobs/{job['id']}", {"name": "other"})
    await api.delete(f"/api/cron-jobs/{job['id']}")
    assert int(await redis_client.get(Topic.JOBS)) == start + 3


async def test_due_jobs_come_by_time_and_only_while_they_are_active(api, user):
    async def due(**window):
        answer = await api.get("/api/cron-jobs", params=window)
        assert answer.status_code == 200, answer.text
        return [job["name"] for job in answer.json()]

    for name, hour in (("late", 18), ("early", 8), ("noon", 12)):
        await api.a_job(user, name=name, run_at=f"2100-01-01T{hour:02}:00:00Z")
    off = await api.a_job(user, name="off", run_at="2100-01-01T09:00:00Z")
    await api.patch(f"/api/cron-jobs/{off['id']}", {"is_active": False})
    assert await due(due_until="2100-01-01T12:00:00Z") == ["early", "noon"]
    assert await due(due_from="2100-01-01T12:00:00Z") == ["noon", "late"]
    assert await due(due_from="2100-01-01T09:00:00Z", due_until="2100-01-01T17:00:00Z") == ["noon"]
    assert await due(due_until="2100-01-01T14:00:00+02:00", limit=1) == ["early"]


async def test_pages_by_id_skip_nothing_when_jobs_go_away(api, user):
    jobs = [await api.a_job(user, name=str(number)) for number in range(6)]
    first = (await api.get("/api/cron-jobs", params={"after_id": 0, "limit": 3})).json()
    await api.delete(f"/api/cron-jobs/{jobs[0]['id']}")
    rest = await api.get("/api/cron-jobs", params={"after_id": first[-1]["id"], "limit": 3})
    assert [job["name"] for job in first + rest.json()] == ["0", "1", "2", "3", "4", "5"]
    assert "X-Total-Count" not in rest.headers


async def test_jobs_go_with_their_user(api, user):
    job = await api.a_job(user)
    await claim(api, job)
    assert (await api.delete(f"/api/users/{user['id']}")).status_code == 204
    assert (await api.get("/api/cron-jobs")).json() == []
    assert (await api.get("/api/cron-jobs/firings")).json() == []


async def test_a_recurring_job_foretells_its_next_firings(api, user):
    job = await api.a_job(user, cron_expression="0 9 * * 1-5", timezone="Europe/Berlin")
    assert job["next_firings"][0] == job["next_run_at"]
    local = [datetime.fromisoformat(at).astimezone(ZoneInfo("Europe/Berlin")) for at in job["next_firings"]]
    assert len(local) == 3
    assert all(at.hour == 9 and at.isoweekday() <= 5 for at in local)
    path = f"/api/cron-jobs/{job['id']}"
    assert (await api.get(path)).json()["next_firings"] == job["next_firings"]
    assert (await api.get("/api/cron-jobs")).json()[0]["next_firings"] is None
    assert (await api.patch(path, {"is_active": False})).json()["next_firings"] == []
    once = await api.a_job(user, run_at="2030-01-01T09:00:00Z")
    assert once["next_firings"] is None


async def test_a_change_of_something_else_keeps_a_firing_that_was_missed(api, user, clock):
    """cron_service catches up what stands in `next_run_at`: moving it forward would drop the firing."""
    job = await api.a_job(user)
    path = f"/api/cron-jobs/{job['id']}"
    clock.move(days=3)
    for change in ({"message": "new"}, {"priority": "high"}, {"is_active": True}, {"timezone": "UTC"}):
        assert (await api.patch(path, change)).json()["next_run_at"] == job["next_run_at"], change
    whole = {name: job[name] for name in ("name", "cron_expression", "user_id", "message")}
    assert (await api.put(path, whole)).json()["next_run_at"] == job["next_run_at"]
    assert (await api.patch(path, {"timezone": "Asia/Tokyo"})).json()["next_run_at"] > job["next_run_at"]


async def test_extensions_of_other_crons_are_refused_with_the_reason(api, user):
    body = {"name": "n", "user_id": user["id"], "message": "m", "cron_expression": "0 9 L * *"}
    refused = await api.post("/api/cron-jobs", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "cron_expression")
    assert "extensions" in refused.json()["message"]


async def keyed(api, user, key="reminder 1", **more):
    """One wish for a job, as somebody sends it who may send it again."""
    body = {"name": "n", "run_at": "2026-12-24T18:00:00Z", "user_id": user["id"], "message": "m"}
    return await api.post("/api/cron-jobs", body | {"idempotency_key": key} | more)


async def test_the_same_key_answers_the_job_that_it_made(api, user, redis_client):
    made = await keyed(api, user)
    assert made.status_code == 201
    assert "idempotency_key" not in made.json()
    announced = await redis_client.get(Topic.JOBS)
    again = await keyed(api, user, message="another", run_at="2026-12-25T18:00:00Z")
    assert (again.status_code, again.json()) == (200, made.json())
    assert await redis_client.get(Topic.JOBS) == announced, "nothing has changed"
    await api.patch(f"/api/cron-jobs/{made.json()['id']}", {"status": "done"})
    over = await keyed(api, user)
    assert (over.status_code, over.json()["status"]) == (200, "done"), "as it is now"


async def test_the_same_key_at_once_makes_one_job(api, user):
    answers = await asyncio.gather(*(keyed(api, user) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    (row,) = (await api.get("/api/cron-jobs", params={"user_id": user["id"]})).json()
    assert {answer.json()["id"] for answer in answers} == {row["id"]}


async def test_keys_of_others_and_other_keys_make_jobs_of_their_own(api, user):
    other = await api.a_user(4243)
    answers = [await keyed(api, user), await keyed(api, other), await keyed(api, user, "reminder 2")]
    answers += [await keyed(api, user, None), await keyed(api, user, None)]
    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["id"] for answer in answers}) == 5


async def test_a_job_keeps_its_key_through_every_change(api, user):
    made = (await keyed(api, user)).json()
    path = f"/api/cron-jobs/{made['id']}"
    whole = {"name": "new", "run_at": "2026-12-24T18:00:00Z", "user_id": user["id"], "message": "m"}
    assert (await api.put(path, whole | {"idempotency_key": "another"})).status_code == 200
    assert (await api.patch(path, {"idempotency_key": "another"})).status_code == 422
    assert (await keyed(api, user)).json()["id"] == made["id"]
    assert (await keyed(api, user, "another")).status_code == 201


async def test_a_job_does_not_go_over_to_a_user_who_has_its_key(api, user):
    other = await api.a_user(4243)
    made, theirs = (await keyed(api, user)).json(), (await keyed(api, other)).json()
    whole = {"name": "n", "run_at": "2026-12-24T18:00:00Z", "user_id": other["id"], "message": "m"}
    refused = await api.put(f"/api/cron-jobs/{made['id']}", whole)
    assert (refused.status_code, refused.json()["field"]) == (409, "user_id")
    assert (await api.get(f"/api/cron-jobs/{theirs['id']}")).json() == theirs


async def test_a_key_comes_free_with_its_job(api, user):
    made = (await keyed(api, user)).json()
    await api.delete(f"/api/cron-jobs/{made['id']}")
    assert (await keyed(api, user)).status_code == 201


async def test_jobs_of_a_user_that_may_still_fire(api, user):
    mine = (await keyed(api, user)).json()
    over = (await keyed(api, user, "over")).json()
    await api.patch(f"/api/cron-jobs/{over['id']}", {"status": "done"})
    await keyed(api, await api.a_user(4243))
    query = {"user_id": user["id"], "status": "active"}
    assert [row["id"] for row in (await api.get("/api/cron-jobs", params=query)).json()] == [mine["id"]]
