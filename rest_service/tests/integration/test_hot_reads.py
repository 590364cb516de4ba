"""The reads of every message: one statement each, and never older than an answered change."""

import asyncio

import pytest

from rest_service.app.main import create_app
from rest_service.tests.integration.test_tree import counted
from rest_service.tests.support import SERVICE_KEY, running

pytestmark = pytest.mark.integration


USER = "/api/users/{user_id}"
ACCOUNT = "/api/users/by-telegram-id/{telegram_id}"
TREE = "/api/assistants/{assistant_id}/tree"


async def hot_paths(api):
    user, root = await api.a_user(1001), await api.an_assistant("Root")
    await api.a_link(root, await api.a_tool())
    return [
        USER.format(user_id=user["id"]),
        ACCOUNT.format(telegram_id=1001),
        TREE.format(assistant_id=root["id"]),
    ]


async def test_each_is_one_statement(api):
    for path in await hot_paths(api):
        with counted(api) as statements:
            answer = await api.get(path, key=SERVICE_KEY)
        assert answer.status_code == 200, answer.text
        assert len(statements) == 1, path


async def test_other_spellings_are_understood(api):
    user = await api.a_user(1001)
    root = await api.an_assistant()
    for path in (
        f"/api/users/0{user['id']}",
        f"/api/users/{user['id']}/",
        "/api/users/by-telegram-id/01001",
        f"/api/assistants/{root['id'].upper()}/tree",
    ):
        assert [(await api.get(path)).status_code for _ in range(2)] == [200, 200], path
    assert (await api.get(f"/api/users/{user['id']}?x=1")).status_code in {200, 422}
    assert (await api.ask("HEAD", f"/api/users/{user['id']}")).status_code == 405


async def test_every_change_shows_in_the_next_read(api):
    user = await api.a_user(1001)
    by_id, by_account = f"/api/users/{user['id']}", "/api/users/by-telegram-id/1001"
    for change in ({"language": "de"}, {"last_seen_at": "2026-11-22T10:00:00Z"}, {"role": "blocked"}):
        await asyncio.gather(api.get(by_id), api.get(by_account))
        changed = (await api.patch(by_id, change)).json()
        assert (await api.get(by_id)).json() == (await api.get(by_account)).json() == changed
    await api.put(by_id, {"telegram_id": 2002})
    assert (await api.get(by_account)).status_code == 404
    assert (await api.get("/api/users/by-telegram-id/2002")).json()["id"] == user["id"]
    await api.delete(by_id)
    assert (await api.get(by_id)).status_code == 404
    assert (await api.get("/api/users/by-telegram-id/2002")).status_code == 404


async def test_a_tree_is_new_after_any_change_of_a_part(api):
    root, sub = await api.an_assistant("Root"), await api.an_assistant("Sub")
    path = f"/api/assistants/{root['id']}/tree"
    tool = await api.a_sub_assistant_tool("ask", sub)
    link = await api.a_link(root, tool)

    async def names():
        tree = (await api.get(path)).json()
        return [a["name"] for a in tree["assistants"]], [t["name"] for t in tree["tools"]]

    assert await names() == (["Root", "Sub"], ["ask"])
    await api.patch(f"/api/assistants/{sub['id']}", {"name": "New"})
    assert await names() == (["Root", "New"], ["ask"])
    await api.patch(f"/api/tools/{tool['id']}", {"name": "ask_new"})
    assert await names() == (["Root", "New"], ["ask_new"])
    await api.delete(f"/api/assistant-tools/{link['id']}")
    assert await names() == (["Root"], [])
    await api.patch(f"/api/assistants/{root['id']}", {"is_active": False})
    assert (await api.get(path)).status_code == 404


async def test_readers_of_two_processes_never_see_what_is_older_than_an_answer(api, settings):
    """Each reader notes what has been answered before it asks: less than that must not come back."""
    async with running(create_app(settings)) as other:
        user, root = await api.a_user(1001), await api.an_assistant("0")
        answered = {"user": 0, "tree": 0}
        stale, over = [], asyncio.Event()

        async def write(what, path, field):
            for number in range(1, 61):
                writer = (api, other)[number % 2]
                response = await writer.patch(path, {field: str(number)})
                assert response.status_code == 200, response.text
                answered[what] = number

        async def read(reader, what, path, value):
            while not over.is_set():
                least = answered[what]
                seen = int(value((await reader.get(path)).json()) or 0)
                if seen < least:
                    stale.append((what, seen, least))

        by_id, tree = f"/api/users/{user['id']}", f"/api/assistants/{root['id']}/tree"
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for reader in (api, other):
                group.create_task(read(reader, "user", by_id, lambda body: body["username"]))
                group.create_task(
                    read(reader, "user", "/api/users/by-telegram-id/1001", lambda body: body["username"])
                )
                group.create_task(read(reader, "tree", tree, lambda body: body["assistants"][0]["name"]))
            await asyncio.gather(
                write("user", by_id, "username"), write("tree", f"/api/assistants/{root['id']}", "name")
            )
            over.set()
        assert stale == []
