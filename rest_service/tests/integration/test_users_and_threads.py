import pytest

from rest_service.tests.support import SERVICE_KEY
from service_kit.changes import Topic

pytestmark = pytest.mark.integration


async def test_life_of_a_user(api):
    made = await api.a_user(2**51, username="ada", timezone="Europe/Berlin", language="de")
    assert (await api.get(f"/api/users/{made['id']}")).json() == made
    assert (await api.get(f"/api/users/by-telegram-id/{2**51}")).json() == made
    path = f"/api/users/{made['id']}"
    assert (await api.patch(path, {"timezone": None})).json()["timezone"] is None
    assert (await api.put(path, {"telegram_id": 5})).json()["username"] is None
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.get("/api/users/by-telegram-id/5")).status_code == 404


async def test_users_are_filtered(api):
    await api.a_user(1, role="owner")
    await api.a_user(2)
    await api.a_user(3, role="blocked", is_active=False)
    for query, expected in (
        ({"role": "member"}, [2]),
        ({"telegram_id": 3}, [3]),
        ({"is_active": "true"}, [1, 2]),
        ({}, [1, 2, 3]),
    ):
        rows = (await api.get("/api/users", params=query)).json()
        assert [row["telegram_id"] for row in rows] == expected


async def test_there_is_one_owner(api):
    owner = await api.a_user(1, role="owner")
    member = await api.a_user(2)
    second = await api.post("/api/users", {"telegram_id": 3, "role": "owner"})
    promoted = await api.patch(f"/api/users/{member['id']}", {"role": "owner"})
    assert (second.status_code, promoted.status_code) == (409, 409)
    assert second.json()["field"] == "role"
    await api.patch(f"/api/users/{owner['id']}", {"role": "member"})
    assert (await api.patch(f"/api/users/{member['id']}", {"role": "owner"})).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"language": "not a language"}, "language"),
        ({"role": "king"}, "role"),
        ({"role": None}, "role"),
        ({"last_seen_at": "2026-01-01T10:00:00"}, "last_seen_at"),
        ({"telegram_id": 5}, "telegram_id"),
        ({"first_name": "a\u0000b"}, "first_name"),
        ({"first_name": "x" * 257}, "first_name"),
    ],
)
async def test_a_wrong_change_of_a_user_is_refused_with_its_field(api, change, field):
    made = await api.a_user()
    refused = await api.patch(f"/api/users/{made['id']}", change)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


async def test_a_telegram_id_beyond_what_can_be_stored_is_refused(api):
    assert (await api.post("/api/users", {"telegram_id": 2**63})).status_code == 422
    assert (await api.get(f"/api/users/by-telegram-id/{2**63}")).status_code == 422
    assert (await api.get(f"/api/users/{2**31}")).status_code == 422


async def test_being_seen_is_not_announced(api, redis_client):
    made = await api.a_user()
    before = await redis_client.get(Topic.USERS)
    seen = await api.patch(f"/api/users/{made['id']}", {"last_seen_at": "2026-11-22T10:00:00Z"})
    assert seen.json()["last_seen_at"] == "2026-11-22T10:00:00Z"
    assert await redis_client.get(Topic.USERS) == before
    await api.patch(f"/api/users/{made['id']}", {"last_seen_at": "2026-11-22T10:00:01Z", "username": "ada"})
    assert int(await redis_client.get(Topic.USERS)) == int(before) + 1


async def test_life_of_a_thread(api):
    user, assistant = await api.a_user(), await api.an_assistant()
    body = {"user_id": user["id"], "assistant_id": assistant["id"], "thread_id": "conv_1"}
    made = await api.made("/api/user-threads", body, key=SERVICE_KEY)
    assert made["last_used"] is not None
    assert (await api.post("/api/user-threads", body)).status_code == 409
    query = {"user_id": user["id"], "assistant_id": assistant["id"]}
    assert (await api.get("/api/user-threads", params=query)).json() == [made]
    path = f"/api/user-threads/{made['id']}"
    assert (await api.patch(path, {"thread_id": "conv_2"})).json()["thread_id"] == "conv_2"
    assert (await api.put(path, body)).json()["thread_id"] == "conv_1"
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_thread_needs_its_user_and_goes_with_it(api):
    user, assistant = await api.a_user(), await api.an_assistant()
    body = {"user_id": user["id"], "assistant_id": assistant["id"], "thread_id": "conv_1"}
    refused = await api.post("/api/user-threads", body | {"user_id": 4711})
    assert (refused.status_code, refused.json()["field"]) == (422, "user_id")
    await api.made("/api/user-threads", body)
    await api.delete(f"/api/users/{user['id']}")
    assert (await api.get("/api/user-threads")).json() == []
