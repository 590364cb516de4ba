import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, make_url, text

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
    done = await api.a_job(user, run_at="2026-11-22T13:00:00Z")
    await api.patch(f"/api/cron-jobs/{done['id']}", {"status": "done"})
    rows = (await api.get("/api/cronjobs", params={"is_active": "true", "status": "active"})).json()
    assert [row["id"] for row in rows] == [running["id"]]
    assert len((await api.get("/api/cron-jobs", params={"user_id": user["id"]})).json()) == 3


async def claim(api, job, scheduled_for=None, **more):
    """The job's next firing, unless told otherwise."""
    body = {"scheduled_for": scheduled_for or job["next_run_at"]} | more
    return await api.post(f"/api/cron-jobs/{job['id']}/firings", body)


async def report(api, firing, **change):
    return await api.patch(f"/api/cron-jobs/{firing['cron_job_id']}/firings/{firing['id']}", change)


async def stored(api, job):
    return (await api.get(f"/api/cron-jobs/{job['id']}")).json()


async def test_a_firing_is_claimed_once(api, user):
    job = await api.a_job(user)
    answers = await asyncio.gather(*(claim(api, job, claimed_by=f"cron-{n}") for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    # the same moment, written in another zone
    again = await claim(api, job, "2026-11-23T10:00:00+01:00")
    assert (again.status_code, again.json()["field"]) == (409, "scheduled_for")
    assert "is already claimed" in again.json()["message"]
    assert (await claim(api, await stored(api, job))).status_code == 201, "the next one"


@pytest.mark.parametrize("scheduled_for", ["1999-01-01T09:00:00Z", "2199-01-01T09:00:00Z"])
@pytest.mark.parametrize("times", [{"cron_expression": "0 9 * * *"}, {"run_at": "2026-11-22T12:30:00Z"}])
async def test_only_the_next_firing_can_be_claimed(api, user, scheduled_for, times):
    job = await api.a_job(user, **times)
    refused = await claim(api, job, scheduled_for)
    assert (refused.status_code, refused.json()["field"]) == (409, "scheduled_for")
    assert job["next_run_at"][:16] in refused.json()["message"]
    assert await stored(api, job) == job
    assert (await api.get("/api/cron-jobs/firings")).json() == []


@pytest.mark.parametrize(
    ("times", "change"),
    [
        ({"run_at": "2026-11-22T12:30:00Z"}, {"run_at": "2026-11-22T12:40:00Z"}),
        ({"run_at": "2026-11-22T12:30:00Z"}, {"run_at": None, "cron_expression": "40 12 * * *"}),
        ({"cron_expression": "30 12 * * *"}, {"cron_expression": "40 12 * * *"}),
        ({"cron_expression": "30 12 * * *"}, {"timezone": "Asia/Kolkata"}),
    ],
)
async def test_a_job_that_was_moved_fires_at_its_new_time_alone(api, user, times, change):
    job = await api.a_job(user, **times)
    moved = (await api.patch(f"/api/cron-jobs/{job['id']}", change)).json()
    assert moved["next_run_at"] != job["next_run_at"]
    assert (await claim(api, job)).status_code == 409
    assert (await claim(api, moved)).status_code == 201


async def test_a_claim_sent_again_by_the_same_scheduler_gets_the_same_answer(api, user):
    job = await api.a_job(user)
    first = await claim(api, job, claimed_by="cron-1")
    assert first.json()["next_run_at"] == "2026-11-24T09:00:00Z"
    answers = await asyncio.gather(*(claim(api, job, claimed_by="cron-1") for _ in range(5)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, first.json())] * 5
    assert (await claim(api, job, claimed_by="cron-2")).status_code == 409
    nobody = await claim(api, await stored(api, job))
    assert nobody.json()["claimed_by"] is None
    assert (await claim(api, {**job, "next_run_at": nobody.json()["scheduled_for"]})).status_code == 409


async def test_the_same_claim_at_once_by_one_scheduler_is_one_firing(api, user):
    job = await api.a_job(user)
    answers = await asyncio.gather(*(claim(api, job, claimed_by="cron-1") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "blocked"}])
async def test_jobs_of_who_gets_no_messages_rest_and_lose_nothing(api, user, clock, redis_client, change):
    daily = await api.a_job(user)
    once = await api.a_job(user, run_at="2026-11-22T12:30:00Z")
    others = await api.a_job(await api.a_user(4243))
    announced = int(await redis_client.get(Topic.JOBS))

    async def fires():
        rows = (await api.get("/api/cron-jobs", params={"is_reachable": "true"})).json()
        return [row["id"] for row in rows]

    await api.patch(f"/api/users/{user['id']}", change)
    assert int(await redis_client.get(Topic.JOBS)) == announced + 1, "schedulers are told"
    clock.move(days=3)
    assert await fires() == [others["id"]]
    resting = (await api.get("/api/cron-jobs", params={"is_reachable": "false"})).json()
    assert [row["id"] for row in resting] == [daily["id"], once["id"]]
    for job in (daily, once):
        refused = await claim(api, job)
        assert refused.status_code == 409
        assert "blocked, cannot be reached" in refused.json()["message"]
        assert await stored(api, job) == job | {"next_firings": (await stored(api, job))["next_firings"]}

    back = {name: user[name] for name in change}
    await api.patch(f"/api/users/{user['id']}", back)
    assert int(await redis_client.get(Topic.JOBS)) == announced + 2
    assert await fires() == [daily["id"], once["id"], others["id"]]
    late = (await claim(api, daily)).json()
    assert late["next_run_at"] == "2026-11-26T09:00:00Z", "once for all that was missed"
    assert (await claim(api, once)).status_code == 201


async def test_a_message_of_a_user_is_no_news_of_jobs(api, user, redis_client):
    announced = await redis_client.get(Topic.JOBS)
    await api.patch(f"/api/users/{user['id']}", {"last_seen_at": "2026-11-22T12:00:00Z", "language": "ru"})
    assert await redis_client.get(Topic.JOBS) == announced


async def test_a_recurring_job_goes_on_after_a_firing(api, user, clock):
    job = await api.a_job(user, cron_expression="0 13 * * *")
    clock.move(hours=1)
    firing = (await claim(api, job)).json()
    assert (firing["status"], firing["finished_at"]) == ("running", None)
    after = await stored(api, job)
    assert after["next_run_at"] == "2026-11-23T13:00:00Z"
    assert after["last_run_at"] == "2026-11-22T13:00:00Z"
    done = await report(api, firing, status="done")
    assert done.json()["finished_at"] is not None
    assert (await stored(api, job))["status"] == "active"


async def test_a_firing_claimed_a_moment_early_is_not_foretold_again(api, user, clock):
    job = await api.a_job(user, cron_expression="0 13 * * *")
    clock.move(minutes=59, seconds=59)
    assert (await claim(api, job)).json()["next_run_at"] == "2026-11-23T13:00:00Z"
    path = f"/api/cron-jobs/{job['id']}"
    changed = (await api.patch(path, {"cron_expression": "0 13 * * 0,1"})).json()
    assert changed["next_run_at"] == "2026-11-23T13:00:00Z"


async def test_a_job_that_fires_once_is_over_with_its_firing(api, user):
    job = await api.a_job(user, run_at="2026-11-22T12:00:00Z")
    firing = (await claim(api, job)).json()
    assert (await report(api, firing, status="done")).status_code == 200
    after = await stored(api, job)
    assert (after["status"], after["next_run_at"]) == ("done", None)
    assert (await claim(api, job, "2026-11-22T12:30:00Z")).status_code == 409, "it is over"
    again = (await api.patch(f"/api/cron-jobs/{job['id']}", {"run_at": "2026-11-22T12:10:00Z"})).json()
    assert (again["status"], again["next_run_at"]) == ("active", "2026-11-22T12:10:00Z")


PAST = "2026-11-22T11:58:00Z"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "active"},
        {"status": "active", "is_active": True, "message": "again"},
        {"status": "active", "timezone": "Asia/Tokyo"},
        {"status": "active", "run_at": "2026-11-22T12:00:00Z"},
        {"run_at": PAST},
        {"run_at": PAST, "status": "active"},
    ],
)
async def test_a_one_shot_that_has_fired_becomes_active_only_with_a_time_to_come(api, user, change):
    job = await api.a_job(user, run_at="2026-11-22T12:00:00Z")
    await report(api, (await claim(api, job)).json(), status="done")
    over = await stored(api, job)
    path = f"/api/cron-jobs/{job['id']}"
    refused = await api.patch(path, change)
    assert (refused.status_code, refused.json()["field"]) == (422, "run_at"), refused.text
    assert "is in the past. Send a new run_at" in refused.json()["message"]
    assert await stored(api, job) == over
    again = await api.patch(path, change | {"run_at": "2026-11-22T12:10:00Z"})
    assert (again.json()["status"], again.json()["next_run_at"]) == ("active", "2026-11-22T12:10:00Z")


async def test_a_time_that_is_over_is_refused(api, user):
    """As is one that passed while the job was off; a time of this minute counts as now."""
    body = {"name": "n", "user_id": user["id"], "message": "m"}
    refused = await api.post("/api/cron-jobs", body | {"run_at": PAST})
    assert (refused.status_code, refused.json()["field"]) == (422, "run_at")
    assert (await api.post("/api/cron-jobs", body | {"run_at": "2026-11-22T11:59:30Z"})).status_code == 201
    job = await api.a_job(user)
    path = f"/api/cron-jobs/{job['id']}"
    assert (await api.put(path, body | {"run_at": PAST})).status_code == 422
    assert (await api.patch(path, {"run_at": PAST, "cron_expression": None})).status_code == 422
    off = await api.a_job(user, run_at=PAST, is_active=False)
    refused = await api.patch(f"/api/cron-jobs/{off['id']}", {"is_active": True})
    assert (refused.status_code, refused.json()["field"]) == (422, "run_at")
    assert await stored(api, job) == job


async def test_a_missed_one_shot_keeps_its_time_through_other_changes(api, user, clock):
    job = await api.a_job(user, run_at="2026-11-22T12:30:00Z")
    path = f"/api/cron-jobs/{job['id']}"
    clock.move(days=1)
    whole = {name: job[name] for name in ("name", "run_at", "user_id", "message")}
    for answer in (
        await api.patch(path, {"message": "new", "timezone": "Asia/Tokyo"}),
        await api.patch(path, {"run_at": "2026-11-22T13:30:00+01:00"}),
        await api.put(path, whole),
    ):
        assert answer.json()["next_run_at"] == job["next_run_at"], answer.text


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
async def test_a_day_that_never_comes_is_refused(api, user, expression):
    job = await api.a_job(user)
    path = f"/api/cron-jobs/{job['id']}"
    whole = {"name": "n", "user_id": user["id"], "message": "m", "cron_expression": expression}
    for refused in (
        await api.post("/api/cron-jobs", whole),
        await api.put(path, whole),
        await api.patch(path, {"cron_expression": expression}),
    ):
        assert (refused.status_code, refused.json()["field"]) == (422, "cron_expression")
        assert "never fire" in refused.json()["message"]


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
    after = await stored(api, job)
    assert (after["status"], after["next_run_at"]) == ("active", "2026-11-22T12:10:00Z")


ENDS = ("done", "failed", "missed")


@pytest.mark.parametrize("end", ENDS)
async def test_a_firing_ends_once(api, user, end):
    job = await api.a_job(user)
    firing = (await claim(api, job)).json()
    refused = await report(api, firing, status="created")
    assert (refused.status_code, refused.json()["field"]) == (409, "status")
    assert "it can become done, failed, missed" in refused.json()["message"]
    assert (await report(api, firing, status="running")).status_code == 200, "as it is"
    first = (await report(api, firing, status=end, error="why")).json()
    assert (first["status"], first["error"]) == (end, "why")
    assert (await report(api, firing, status=end)).json() == first, "sent twice, it changes nothing"
    for other in {"created", "running", *ENDS} - {end}:
        assert (await report(api, firing, status=other)).status_code == 409, other
    other_job = await api.a_job(user)
    assert (await report(api, firing | {"cron_job_id": other_job["id"]}, status=end)).status_code == 404
    assert (await api.get(f"/api/cron-jobs/{job['id']}/firings")).json() == [first]


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
    due = "2026-11-22T12:00:00Z"
    assert (await claim(api, job, due)).status_code == 409
    assert (await claim(api, {"id": 4711}, due)).status_code == 404


def write_by_hand(url: str, change: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE cron_jobs SET {change}"))
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        # taken by an earlier version, or known to another machine
        ("timezone = 'US/Pacific-New'", {"timezone": "America/Los_Angeles"}),
        ("timezone = 'Europe'", {"timezone": "Europe/Berlin"}),
        ("cron_expression = '@daily'", {"cron_expression": "0 0 * * *"}),
    ],
)
async def test_a_job_whose_schedule_cannot_be_read_any_more(api, user, empty_url, change, cure):
    job, (field,) = await api.a_job(user), cure
    path = f"/api/cron-jobs/{job['id']}"
    write_by_hand(empty_url, change)
    assert (await api.get(path)).json()["next_firings"] == []
    refused = await claim(api, job)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert (await api.patch(path, {"message": "other"})).status_code == 200
    assert (await api.patch(path, {"is_active": False})).json()["next_run_at"] is None
    back = await api.patch(path, {"is_active": True})
    assert (back.status_code, back.json()["field"]) == (422, field)
    assert (await api.patch(path, {"is_active": True} | cure)).json()["next_run_at"]


@pytest.mark.parametrize("off", ["is_active = false", "status = 'paused'"])
async def test_a_job_that_was_switched_off_by_hand_does_not_fire(api, user, empty_url, off):
    job = await api.a_job(user)
    write_by_hand(empty_url, off)
    refused = await claim(api, job)
    assert refused.status_code == 409
    assert "switched off or finished" in refused.json()["message"]


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


async def test_jobs_are_found_by_name(api, user):
    for name in ("Vitamins", "Call mum", "call_dad"):
        await api.a_job(user, name=name)

    async def found(part):
        return [row["name"] for row in (await api.get("/api/cron-jobs", params={"search": part})).json()]

    assert await found("CALL") == ["Call mum", "call_dad"]
    assert await found("l_d") == ["call_dad"], "no wildcard"


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


async def test_the_same_key_answers_the_job_that_it_made(api, user, clock, redis_client):
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
    clock.move(days=60)
    late = await keyed(api, user)
    assert (late.status_code, late.json()) == (200, over.json()), "its time is over, and it was made"


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
