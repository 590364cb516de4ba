"""What answering has cost: stored once, kept when user and assistant are gone, summed for the admin."""

import asyncio

import pytest
from sqlalchemy import text

from rest_service.app.repositories.usage import UsageRepository
from rest_service.tests.support import SERVICE_KEY, until
from service_kit.changes import Topic
from service_kit.contracts.usage import MAX_RECORDS, UsageCreate

pytestmark = pytest.mark.integration

GONE = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def a_record(number=1, **more):
    return {
        "id": f"tg:{number}:a",
        "message_id": f"tg:{number}",
        "user_id": 4711,
        "assistant": "Secretary",
        "model": "openai/gpt",
        "input_tokens": 100,
        "cached_tokens": 60,
        "output_tokens": 10,
        "model_calls": 2,
        "duration_ms": 1500,
        "at": "2026-11-22T09:00:00Z",
    } | more


async def store(api, *records, key=SERVICE_KEY):
    return await api.post("/api/usage", list(records), key=key)


async def stored(api, *records):
    answer = await store(api, *records)
    assert answer.status_code == 200, answer.text
    return answer.json()["stored"]


async def test_a_record_is_stored_as_it_was_sent(api):
    user, assistant = await api.a_user(), await api.an_assistant()
    sent = a_record(user_id=user["id"], assistant_id=assistant["id"], kind="summary")
    assert await stored(api, sent) == 1
    (row,) = (await api.get("/api/usage")).json()
    assert sent.items() <= row.items()


async def test_any_offset_from_utc_is_a_time(api):
    assert (
        await stored(api, a_record(1, at="2026-11-22T09:00:00-23:31"), a_record(2, at="0175-10-04T02:24:02Z"))
        == 2
    )
    times = [row["at"] for row in (await api.get("/api/usage")).json()]
    assert times == ["2026-11-23T08:31:00Z", "0175-10-04T02:24:02Z"]


async def test_what_is_known_is_left_as_it_is(api):
    assert await stored(api, a_record(1), a_record(2)) == 2
    assert await stored(api, a_record(2, output_tokens=99), a_record(3), a_record(3)) == 1
    rows = (await api.get("/api/usage")).json()
    assert [(row["id"], row["output_tokens"]) for row in rows] == [
        ("tg:3:a", 10), ("tg:2:a", 10), ("tg:1:a", 10),
    ]  # fmt: skip


async def test_the_same_records_at_once_are_stored_once(api):
    user = await api.a_user()
    records = [a_record(number, user_id=user["id"]) for number in range(50)]
    answers = await asyncio.gather(*(store(api, *records[:: 1 - 2 * (n % 2)]) for n in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["stored"] for answer in answers) == 50


async def test_a_full_request_and_one_too_many(api):
    assert await stored(api, *map(a_record, range(MAX_RECORDS))) == MAX_RECORDS
    refused = await store(api, *map(a_record, range(MAX_RECORDS + 1)))
    assert (refused.status_code, refused.json()["field"]) == (422, "body")
    assert await stored(api) == 0


async def test_a_user_or_assistant_who_is_gone_does_not_hold_up_the_others(api):
    user = await api.a_user()
    sent = [a_record(1, user_id=user["id"], assistant_id=GONE), a_record(2, user_id=4711)]
    assert await stored(api, *sent) == 2
    rows = (await api.get("/api/usage")).json()
    assert {row["id"]: (row["user_id"], row["assistant_id"]) for row in rows} == {
        "tg:1:a": (user["id"], None),
        "tg:2:a": (None, None),
    }


async def test_a_record_stays_when_its_user_and_assistant_go(api):
    user, assistant = await api.a_user(), await api.an_assistant("Ada")
    await stored(api, a_record(user_id=user["id"], assistant_id=assistant["id"], assistant="Ada"))
    assert (await api.delete(f"/api/users/{user['id']}")).status_code == 204
    assert (await api.delete(f"/api/assistants/{assistant['id']}")).status_code == 204
    (row,) = (await api.get("/api/usage")).json()
    assert (row["user_id"], row["assistant_id"], row["assistant"]) == (None, None, "Ada")


async def test_users_go_while_their_records_come(api):
    users = [await api.a_user(number) for number in range(1, 11)]
    batch = [a_record(user["id"], user_id=user["id"]) for user in users]
    answers = await asyncio.gather(
        *(api.delete(f"/api/users/{user['id']}") for user in users[::2]),
        *(store(api, *batch) for _ in range(5)),
    )
    assert {answer.status_code for answer in answers} == {204, 200}
    rows = (await api.get("/api/usage")).json()
    assert len(rows) == 10
    assert {row["user_id"] for row in rows} == {user["id"] for user in users[1::2]} | {None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": " "}, "0.id"),
        ({"kind": "guess"}, "0.kind"),
        ({"input_tokens": -1}, "0.input_tokens"),
        ({"input_tokens": 2**31}, "0.input_tokens"),
        ({"at": "2026-11-22T09:00:00"}, "0.at"),
        # stored, it would be minus infinity, which no list could be answered with
        ({"at": "0001-01-01T00:00:00Z"}, "0.at"),
        ({"at": "9999-12-31T23:59:59.999999Z"}, "0.at"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "0.at"),
        ({"price": 1}, "0.price"),
    ],
)
async def test_a_wrong_record_is_refused_with_its_place(api, change, field):
    refused = await store(api, a_record() | change, a_record(2))
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert (await api.get("/api/usage")).json() == []


async def test_records_make_nothing_old_that_is_kept(api, redis_client):
    user = await api.a_user()
    counters = [await redis_client.get(topic) for topic in Topic]
    await stored(api, a_record(user_id=user["id"]))
    assert [await redis_client.get(topic) for topic in Topic] == counters


async def test_records_are_filtered_and_paged(api):
    user, assistant = await api.a_user(), await api.an_assistant()
    await stored(
        api,
        a_record(1, user_id=user["id"], at="2026-11-20T00:00:00Z"),
        a_record(2, assistant_id=assistant["id"], at="2026-11-21T00:00:00Z"),
        a_record(3, model="x/y", at="2026-11-22T00:00:00Z"),
        a_record(4, kind="summary", at="2026-11-23T00:00:00Z"),
    )
    for query, expected in (
        ({}, [4, 3, 2, 1]),
        ({"user_id": user["id"]}, [1]),
        ({"assistant_id": assistant["id"]}, [2]),
        ({"model": "x/y"}, [3]),
        ({"kind": "summary"}, [4]),
        ({"since": "2026-11-21T00:00:00Z", "until": "2026-11-23T00:00:00Z"}, [3, 2]),
    ):
        answer = await api.get("/api/usage", params=query)
        assert [row["message_id"] for row in answer.json()] == [f"tg:{number}" for number in expected]
        assert answer.headers["X-Total-Count"] == str(len(expected))
    page = await api.get("/api/usage", params={"limit": 2, "offset": 1})
    assert [row["message_id"] for row in page.json()] == ["tg:3", "tg:2"]
    assert page.headers["X-Total-Count"] == "4"


@pytest.fixture
async def two_people(api):
    """Ada's two messages, of which one took two assistants, and one of somebody who is gone."""
    ada = await api.a_user()
    dear = {"user_id": ada["id"], "model": "openai/dear"}
    at = {"at": "2026-11-22T23:30:00+01:00"}
    planner = at | {"id": "tg:2:b", "assistant": "Planner", "output_tokens": 1000}
    await stored(
        api, a_record(1, **dear), a_record(2, **dear, **at), a_record(2, **(dear | planner)),
        a_record(3, at="2026-11-22T23:30:00Z"), a_record(4, at="2026-11-23T01:00:00+02:00"),
        a_record(5, at="2026-11-23T00:30:00Z"),
    )  # fmt: skip
    return ada


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("user", [("ada", 2, 1020), (None, 3, 30)]),
        ("assistant", [("Planner", 1, 1000), ("Secretary", 5, 50)]),
        ("model", [("openai/dear", 2, 1020), ("openai/gpt", 3, 30)]),
        ("day", [("2026-11-23", 1, 10), ("2026-11-22", 4, 1040)]),
    ],
)
async def test_totals(api, two_people, group, expected):
    answer = await api.get("/api/usage/totals", params={"group_by": group})
    names = {str(two_people["id"]): "ada"}
    found = [
        (names.get(row["key"], row["key"]), row["messages"], row["output_tokens"]) for row in answer.json()
    ]
    assert found == expected
    assert sum(row["duration_ms"] for row in answer.json()) == 6 * 1500
    assert answer.headers["X-Total-Count"] == str(len(expected))


@pytest.mark.parametrize("group", ["user", "assistant", "model", "day"])
async def test_totals_of_the_largest_numbers(api, group):
    most = 2**31 - 1
    numbers = {"input_tokens": most, "output_tokens": most, "duration_ms": most}
    await stored(api, a_record(1, **numbers), a_record(2, **numbers))
    (row,) = (await api.get("/api/usage/totals", params={"group_by": group})).json()
    assert row["input_tokens"] == row["output_tokens"] == row["duration_ms"] == 2 * most


async def test_a_time_in_an_address_whose_plus_became_a_blank(api):
    await stored(api, a_record(1), a_record(2, at="2026-11-22T07:59:59Z"))
    for since in ("2026-11-22T09:00:00+01:00", "2026-11-22T09:00:00.000+0100"):
        answer = await api.get(f"/api/usage?since={since}")
        assert [row["id"] for row in answer.json()] == ["tg:1:a"]


async def test_totals_of_a_time_and_their_pages(api, two_people):
    ask = {"group_by": "assistant", "since": "2026-11-22T22:00:00Z", "until": "2026-11-22T22:31:00Z"}
    rows = (await api.get("/api/usage/totals", params=ask)).json()
    assert [(row["key"], row["messages"]) for row in rows] == [("Planner", 1), ("Secretary", 1)]
    page = await api.get("/api/usage/totals", params={"group_by": "assistant", "limit": 1, "offset": 1})
    assert ([row["key"] for row in page.json()], page.headers["X-Total-Count"]) == (["Secretary"], "2")
    assert (await api.get("/api/usage/totals", params={"group_by": "year"})).status_code == 422


async def test_two_who_store_the_same_records_in_other_orders_wait_in_no_circle(api):
    """Whoever comes second waits for the first; each in the order of sending would wait for the other."""
    database = api.app.state.parts.database
    records = [a_record(number) for number in (1, 2, 3)]
    async with database.write_unit() as unit:
        await UsageRepository(unit).store([UsageCreate(**records[1])])
        both = [asyncio.create_task(store(api, *order)) for order in (records, records[::-1])]
        await until(lambda: waiting_for_others(database, 2))
    answers = await asyncio.gather(*both)
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert sum(answer.json()["stored"] for answer in answers) == 2


async def waiting_for_others(database, count):
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database()"
    )
    async with database.read_unit() as unit:
        return await unit.connection.scalar(waiting) >= count
