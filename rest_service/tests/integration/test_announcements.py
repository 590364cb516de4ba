"""A change that was answered has been announced; one that was refused has not."""

import asyncio

import pytest

from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running
from service_kit.changes import Topic
from service_kit.settings import RedisSettings

pytestmark = pytest.mark.integration


async def counters(redis):
    return [int(await redis.get(topic) or 0) for topic in (Topic.CONFIGURATION, Topic.USERS)]


@pytest.fixture
async def announced(api, redis_client):
    """How often each topic was announced since the start, which announces everything."""
    start = await counters(redis_client)

    async def since():
        return [now - then for now, then in zip(await counters(redis_client), start, strict=True)]

    return since


async def test_every_change_of_the_configuration_counts_once(api, announced):
    one, other, tool = await api.an_assistant("One"), await api.an_assistant("Other"), await api.a_tool()
    link = await api.a_link(one, tool)
    assert await announced() == [4, 0]
    await api.patch(f"/api/assistants/{one['id']}", {"name": "New"})
    await api.patch(f"/api/tools/{tool['id']}", {"description": "New"})
    await api.patch(f"/api/assistant-tools/{link['id']}", {"is_active": False})
    assert await announced() == [7, 0]
    await api.delete(f"/api/assistant-tools/{link['id']}")
    await api.delete(f"/api/tools/{tool['id']}")
    await api.delete(f"/api/assistants/{other['id']}")
    assert await announced() == [10, 0]


async def test_changes_of_users_count_apart(api, announced):
    user = await api.a_user()
    await api.patch(f"/api/users/{user['id']}", {"language": "de"})
    await api.delete(f"/api/users/{user['id']}")
    assert await announced() == [0, 3]


async def test_a_refusal_and_a_look_are_not_announced(api, redis_client):
    made = await api.an_assistant("Ada")
    before = await counters(redis_client)
    await api.post("/api/assistants", {"name": "Ada", "model": "m", "instructions": "i"})
    await api.patch(f"/api/assistants/{made['id']}", {})
    await api.get("/api/assistants")
    assert await counters(redis_client) == before


async def test_whoever_sees_the_counter_move_reads_the_new_row(api, redis_client):
    """The reader's order: counter first, then the row. So the commit must come before the counter."""
    made = await api.an_assistant("0")
    path = f"/api/assistants/{made['id']}"
    first = int(await redis_client.get(Topic.CONFIGURATION))
    stale = []

    async def reader():
        while True:
            version = int(await redis_client.get(Topic.CONFIGURATION))
            name = (await api.get(path)).json()["name"]
            if int(name) < version - first:
                stale.append((version, name))
            if name == "30":
                return

    async def writer():
        for number in range(1, 31):
            await api.patch(path, {"name": str(number)})
            assert int(await redis_client.get(Topic.CONFIGURATION)) == first + number

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(reader())
        group.create_task(writer())
    assert stale == []


async def test_changes_stand_while_redis_is_away(empty_url):
    nowhere = RedisSettings(redis_host="127.0.0.1", redis_port=1)
    async with running(create_app(make_settings(empty_url, nowhere))) as api:
        made = await api.an_assistant()
        assert (await api.get(f"/api/assistants/{made['id']}")).status_code == 200


async def test_a_redis_that_never_answers_delays_an_answer_by_little(empty_url):
    async def silent(reader, writer):
        await reader.read()  # until the caller gives up
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    hanging = RedisSettings(redis_host="127.0.0.1", redis_port=server.sockets[0].getsockname()[1])
    async with running(create_app(make_settings(empty_url, hanging))) as api, asyncio.timeout(10):
        made = await api.an_assistant()
        assert (await api.get(f"/api/assistants/{made['id']}")).json()["name"] == made["name"]
    server.close()
