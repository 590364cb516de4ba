import asyncio

import pytest
from sqlalchemy import create_engine, make_url, text

from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running, until

pytestmark = pytest.mark.integration


def kill_connections(url):
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()


async def test_connections_that_die_in_the_pool_are_replaced(api, empty_url):
    made = await api.a_user()
    await asyncio.gather(*(api.get("/api/users?telegram_id=1001") for _ in range(20)))
    kill_connections(empty_url)
    await until(lambda: served(api))
    answers = await asyncio.gather(*(api.get("/api/users?telegram_id=1001") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await api.patch(f"/api/users/{made['id']}", {"language": "de"})).status_code == 200


async def test_a_connection_that_dies_in_mid_statement_is_a_503(api, empty_url):
    database = api.app.state.parts.database
    async with database.engine.connect() as holder:
        await holder.execute(text("LOCK TABLE telegram_users"))
        waiting = asyncio.create_task(api.get("/api/users"))
        await until(lambda: waits_for_the_lock(database))
        kill_connections(empty_url)
        answer = await waiting
        await holder.invalidate()
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert answer.headers["Retry-After"] == "1"
    assert (await api.get("/api/users")).status_code == 200


async def served(api):
    return (await api.get("/api/users")).status_code == 200


async def waits_for_the_lock(database):
    async with database.read_unit() as unit:
        waiting = text(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND locktype = 'relation' AND datname = current_database()"
        )
        return await unit.connection.scalar(waiting) > 0


async def known(api):
    return (await api.get("/health", key=None)).json()["status"] != "starting"


async def test_a_database_that_is_away_is_a_503_and_shows_in_the_health():
    async with running(create_app(make_settings("postgresql://nobody:none@127.0.0.1:1/test"))) as api:
        answer = await api.get("/api/users")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        await until(lambda: known(api))
        health = await api.get("/health", key=None)
        assert health.status_code == 503
        assert "database" in health.json()["checks"]
        assert (await api.get("/health/live", key=None)).status_code == 200
        assert (await api.get("/docs", key=None)).status_code == 200


async def test_health_is_open_and_good(api):
    await until(lambda: known(api))
    assert (await api.get("/health/ready/", key=None)).json()["checks"] == {"database": "ok"}
