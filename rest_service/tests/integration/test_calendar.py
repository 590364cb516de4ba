import pytest
from sqlalchemy import text

from rest_service.tests.support import ADMIN_KEY, SERVICE_KEY

pytestmark = pytest.mark.integration

TOKENS = {
    "access_token": "ya29.access-of-the-test",
    "refresh_token": "1//refresh-of-the-test",
    "expires_at": "2026-11-22T13:00:00Z",
    "scopes": ["https://www.googleapis.com/auth/calendar.events"],
}


@pytest.fixture
async def user(api):
    return await api.a_user()


async def store(api, user, **change):
    return await api.put(f"/api/calendar/{user['id']}/tokens", TOKENS | change, key=SERVICE_KEY)


async def tokens(api, user):
    return await api.get(f"/api/calendar/{user['id']}/tokens", key=SERVICE_KEY)


async def in_database(api, statement):
    async with api.app.state.parts.database.write_unit() as unit:
        return (
            (await unit.connection.execute(text(statement))).all()
            if "SELECT" in statement
            else (await unit.connection.execute(text(statement)))
        )


async def test_tokens_come_back_to_the_services_only(api, user):
    stored = await store(api, user)
    assert stored.status_code == 200
    assert (stored.json()["status"], stored.json()["has_refresh_token"]) == ("linked", True)
    read = (await tokens(api, user)).json()
    assert {name: read[name] for name in TOKENS} == TOKENS
    refused = await api.get(f"/api/calendar/{user['id']}/tokens", key=ADMIN_KEY)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await api.put(f"/api/calendar/{user['id']}/tokens", TOKENS, key=ADMIN_KEY)).status_code == 403


async def test_no_list_and_no_row_shows_a_token(api, user):
    await store(api, user)
    for path in ("/api/calendar", f"/api/calendar/{user['id']}"):
        shown = (await api.get(path)).text
        assert "of-the-test" not in shown
        assert "gAAAAA" not in shown
    [row] = await in_database(api, "SELECT access_token, refresh_token FROM calendar_credentials")
    assert all(value.startswith("gAAAAA") for value in row)


async def test_an_old_refresh_token_stays_where_none_comes(api, user):
    await store(api, user)
    await store(api, user, access_token="newer", refresh_token=None)
    read = (await tokens(api, user)).json()
    assert (read["access_token"], read["refresh_token"]) == ("newer", TOKENS["refresh_token"])


async def test_a_revoked_grant_is_noted_and_linking_again_mends_it(api, user):
    await store(api, user)
    path = f"/api/calendar/{user['id']}"
    assert (await api.patch(path, {"status": "revoked"})).json()["status"] == "revoked"
    assert [row["user_id"] for row in (await api.get("/api/calendar?status=revoked")).json()] == [user["id"]]
    assert (await store(api, user)).json()["status"] == "linked"
    assert (await api.delete(path)).status_code == 204
    assert (await tokens(api, user)).status_code == 404


async def test_a_ciphertext_moved_to_another_user_is_refused(api, user, caplog):
    other = await api.a_user(2002)
    await store(api, user)
    await store(api, other)
    await in_database(
        api,
        f"UPDATE calendar_credentials SET access_token = (SELECT access_token FROM calendar_credentials "
        f"WHERE user_id = {user['id']}) WHERE user_id = {other['id']} RETURNING 1",
    )
    answer = await tokens(api, other)
    assert answer.status_code == 409
    assert "encrypted for another place" in answer.json()["message"]
    assert "of-the-test" not in answer.text
    assert "tokens_unreadable" in caplog.text
    assert (await tokens(api, user)).status_code == 200


async def test_credentials_need_their_user_and_go_with_it(api, user):
    refused = await store(api, {"id": 4711})
    assert (refused.status_code, refused.json()["field"]) == (422, "user_id")
    await store(api, user)
    await api.delete(f"/api/users/{user['id']}")
    assert (await api.get("/api/calendar")).json() == []
