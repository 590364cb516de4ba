"""What is deleted here leaves a note of what is to be forgotten elsewhere, whoever deletes it and however."""

import pytest
from sqlalchemy import create_engine, make_url, text

from rest_service.tests.support import SERVICE_KEY

pytestmark = pytest.mark.integration


@pytest.fixture
def psql(empty_url):
    """Somebody at the database itself."""
    engine = create_engine(make_url(empty_url).set(drivername="postgresql+psycopg2"))

    def run(statement, **values):
        with engine.begin() as connection:
            connection.execute(text(statement), values)

    yield run
    engine.dispose()


async def a_thread(api, user, assistant, thread_id):
    body = {"user_id": user["id"], "assistant_id": assistant["id"], "thread_id": thread_id}
    return await api.made("/api/user-threads", body)


async def discarded(api):
    """What is to be forgotten, oldest first."""
    answer = await api.get("/api/discards", key=SERVICE_KEY)
    assert answer.status_code == 200, answer.text
    rows = answer.json()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    return {(row["kind"], row["reference"]) for row in rows}


async def test_a_deleted_thread_is_to_be_forgotten_until_somebody_has(api):
    thread = await a_thread(api, await api.a_user(), await api.an_assistant(), "conv_1")
    assert await discarded(api) == set()
    await api.delete(f"/api/user-threads/{thread['id']}")
    (row,) = (await api.get("/api/discards")).json()
    assert (row["kind"], row["reference"]) == ("thread", "conv_1")
    path = f"/api/discards/{row['id']}"
    assert (await api.delete(path, key=SERVICE_KEY)).status_code == 204
    assert await discarded(api) == set()
    assert (await api.delete(path, key=SERVICE_KEY)).status_code == 404


async def test_a_replaced_thread_is_to_be_forgotten_and_one_that_stays_is_not(api):
    user, assistant = await api.a_user(), await api.an_assistant()
    thread = await a_thread(api, user, assistant, "conv_1")
    path = f"/api/user-threads/{thread['id']}"
    await api.patch(path, {"last_used": "2026-11-22T10:00:00Z"})
    await api.patch(path, {"thread_id": "conv_1"})
    assert await discarded(api) == set()
    await api.patch(path, {"thread_id": "conv_2"})
    assert await discarded(api) == {("thread", "conv_1")}
    whole = {"user_id": user["id"], "assistant_id": assistant["id"], "thread_id": "conv_3"}
    await api.put(path, whole)
    assert await discarded(api) == {("thread", "conv_1"), ("thread", "conv_2")}


async def test_a_thread_in_use_again_is_not_to_be_forgotten(api):
    thread = await a_thread(api, await api.a_user(), await api.an_assistant(), "conv_1")
    path = f"/api/user-threads/{thread['id']}"
    await api.patch(path, {"thread_id": "conv_2"})
    await api.patch(path, {"thread_id": "conv_1"})
    assert await discarded(api) == {("thread", "conv_2")}
    await api.delete(path)
    assert await discarded(api) == {("thread", "conv_1"), ("thread", "conv_2")}


async def test_a_deleted_user_leaves_the_threads_and_the_own_id(api):
    ada, bob = await api.a_user(1), await api.a_user(2)
    one, other = await api.an_assistant("One"), await api.an_assistant("Other")
    for user, assistant, thread_id in ((ada, one, "a1"), (ada, other, "a2"), (bob, one, "b1")):
        await a_thread(api, user, assistant, thread_id)
    await api.delete(f"/api/users/{ada['id']}")
    assert await discarded(api) == {("user", str(ada["id"])), ("thread", "a1"), ("thread", "a2")}


async def test_a_deleted_assistant_leaves_its_threads(api):
    ada, bob = await api.a_user(1), await api.a_user(2)
    gone, stays = await api.an_assistant("Gone"), await api.an_assistant("Stays")
    for user, assistant, thread_id in ((ada, gone, "g1"), (bob, gone, "g2"), (bob, stays, "s1")):
        await a_thread(api, user, assistant, thread_id)
    assert (await api.delete(f"/api/assistants/{gone['id']}")).status_code == 204
    assert await discarded(api) == {("thread", "g1"), ("thread", "g2")}


async def test_rows_deleted_by_hand_leave_their_notes_too(api, psql):
    user, assistant = await api.a_user(), await api.an_assistant()
    await a_thread(api, user, assistant, "conv_1")
    psql("UPDATE user_assistant_threads SET thread_id = 'conv_2'")
    psql("SET LOCAL search_path = ''; DELETE FROM public.telegram_users WHERE id = :id", id=user["id"])
    assert await discarded(api) == {("thread", "conv_1"), ("thread", "conv_2"), ("user", str(user["id"]))}


async def test_a_deletion_that_is_refused_leaves_no_note(api):
    user, planner = await api.a_user(), await api.an_assistant("Planner")
    await a_thread(api, user, planner, "conv_1")
    await api.a_sub_assistant_tool("ask_planner", planner)
    assert (await api.delete(f"/api/assistants/{planner['id']}")).status_code == 409
    assert await discarded(api) == set()


async def test_pages_and_their_total(api):
    user = await api.a_user()
    for number in range(3):
        thread = await a_thread(api, user, await api.an_assistant(f"A{number}"), f"conv_{number}")
        await api.delete(f"/api/user-threads/{thread['id']}")
    page = await api.get("/api/discards", params={"limit": 1, "offset": 1})
    assert ([row["reference"] for row in page.json()], page.headers["X-Total-Count"]) == (["conv_1"], "3")
