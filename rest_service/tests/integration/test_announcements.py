"""A change that was answered has been announced; one that was refused has not."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from rest_service.app.announcements import Announcer
from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running, until
from service_kit import changes
from service_kit.changes import Topic
from service_kit.redis import connect_blocking
from service_kit.settings import RedisSettings
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration


async def counters(redis):
    return [int(await redis.get(topic) or 0) for topic in (Topic.CONFIGURATION, Topic.USERS)]


@pytest.fixture
async def announced(api, redis_client):
    """How often each topic was announced since the start, which announces everything."""
    await until(lambda: all_announced(redis_client))
    start = await counters(redis_client)

    async def since():
        return [now - then for now, then in zip(await counters(redis_client), start, strict=True)]

    return since


async def all_announced(redis):
    return None not in await redis.mget(*Topic)


@asynccontextmanager
async def an_announcer(redis_settings):
    client = connect_blocking(redis_settings, block=0)
    async with Announcer(client) as announcer:
        yield announcer
    await client.aclose()


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
    await until(lambda: all_announced(redis_client))
    made = await api.an_assistant("Ada")
    before = await counters(redis_client)
    await api.post("/api/assistants", {"name": "Ada", "model": "m", "instructions": "i"})
    await api.patch(f"/api/assistants/{made['id']}", {})
    await api.get("/api/assistants")
    assert await counters(redis_client) == before


async def test_whoever_sees_the_counter_move_reads_the_new_row(api, redis_client):
    """The reader's order: counter first, then the row. So the commit must come before the counter."""
    await until(lambda: all_announced(redis_client))
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


async def test_an_announcement_that_takes_a_moment_is_waited_for(api, redis_client, caplog):
    """To a loop that stalls Redis seems to answer late, which is not to be away."""
    await until(lambda: all_announced(redis_client))
    user = await api.a_user()
    before = await counters(redis_client)
    await redis_client.client_pause(400, all=False)  # writes wait, reads do not
    answer = await api.patch(f"/api/users/{user['id']}", {"username": "new"})
    assert answer.status_code == 200
    assert (await counters(redis_client))[1] == before[1] + 1
    assert "change_not_announced" not in caplog.text


async def test_what_could_not_be_announced_is_as_soon_as_redis_is_back(redis_client, redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with an_announcer(through) as announcer:
            await until(lambda: all_announced(redis_client))
            await line.close()
            before = await counters(redis_client)
            await announcer.announce([Topic.USERS])
            await announcer.announce([Topic.CONFIGURATION])
            await line.open()
            await until(lambda: moved(redis_client, before))


async def moved(redis, before):
    return all(now > then for now, then in zip(await counters(redis), before, strict=True))


async def test_nobody_waits_for_a_redis_that_is_known_to_hang(redis_client, redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with an_announcer(through) as announcer:
            await until(lambda: all_announced(redis_client))
            line.lose_answers()
            await announcer.announce([Topic.USERS])  # finds out
            started = time.monotonic()
            for _ in range(100):
                await announcer.announce([Topic.USERS])
            assert time.monotonic() - started < changes.ANNOUNCE_TIMEOUT
            before = await counters(redis_client)
            line.cut()
            await until(lambda: users_moved(redis_client, before))


async def users_moved(redis, before):
    return (await counters(redis))[1] > before[1]


async def test_a_cancelled_request_leaves_its_announcement_to_the_task(redis_client, redis_settings):
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        through = redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        async with an_announcer(through) as announcer:
            await until(lambda: all_announced(redis_client))
            await line.close()
            before = await counters(redis_client)
            request = asyncio.create_task(announcer.announce([Topic.USERS]))
            await asyncio.sleep(0)
            request.cancel()
            await asyncio.wait([request])
            await line.open()
            await until(lambda: users_moved(redis_client, before))
