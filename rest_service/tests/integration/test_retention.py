"""What has ended long ago is removed in batches; nothing else is."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, event, func, insert, make_url, select

from rest_service.app import retention
from rest_service.app.database import Database
from rest_service.app.main import create_app
from rest_service.app.models import cron_jobs, usage_records, users
from rest_service.app.models import firings as firings_table
from rest_service.app.retention import Retention
from rest_service.tests.support import make_settings, running, until
from service_kit.clock import SystemClock

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
BATCH = 10


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", BATCH)


@pytest.fixture
async def database(settings, clock):
    opened = Database(settings, clock)
    yield opened
    await opened.aclose()


def fill(url, now, *, old):
    """Of firings and usage records: `old` ones of 31 days ago, 3 of 29 days ago; and 2 old open firings."""
    ages = [31] * old + [29] * 3
    ended = [now - days * DAY - timedelta(seconds=n) for n, days in enumerate(ages)]
    open_since = [now - 31 * DAY - timedelta(hours=n) for n in (1, 2)]
    firings = [{"scheduled_for": at, "finished_at": at, "status": "done"} for at in ended]
    firings += [{"scheduled_for": at, "finished_at": None, "status": "running"} for at in open_since]
    counts = ("input_tokens", "cached_tokens", "output_tokens", "model_calls", "duration_ms")
    used = {"assistant": "A", "model": "m", "kind": "answer", "message_id": "tg:1"} | dict.fromkeys(counts, 1)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        user_id = connection.scalar(insert(users).values(telegram_id=1).returning(users.c.id))
        job = {"name": "n", "message": "m", "user_id": user_id, "cron_expression": "* * * * *"}
        job_id = connection.scalar(insert(cron_jobs).values(job).returning(cron_jobs.c.id))
        connection.execute(insert(firings_table), [row | {"cron_job_id": job_id} for row in firings])
        connection.execute(
            insert(usage_records), [used | {"id": f"tg:{n}", "at": at} for n, at in enumerate(ended)]
        )
    engine.dispose()


async def left(database):
    async with database.read_unit() as unit:
        counts = [
            await unit.connection.scalar(select(func.count()).select_from(table))
            for table in (firings_table, usage_records)
        ]
    return tuple(counts)


async def test_what_ended_long_ago_goes_in_batches_and_the_rest_stays(empty_url, database, clock):
    old = 2 * BATCH + 1
    fill(empty_url, clock.now(), old=old)
    removed = []

    def note(_connection, cursor, statement, *_rest):
        if statement.startswith("DELETE"):
            removed.append(cursor.rowcount)

    event.listen(database.engine.sync_engine, "after_cursor_execute", note)
    settings = make_settings(empty_url, firing_retention_days=30, usage_retention_days=30)
    assert await Retention(database, settings).prune() == 2 * old
    assert removed == [BATCH, BATCH, 1] * 2
    assert await left(database) == (3 + 2, 3)
    assert await Retention(database, settings).prune() == 0


@pytest.mark.parametrize(("days", "expected"), [({}, (5, 6)), ({"firing_retention_days": 0}, (8, 6))])
async def test_by_default_firings_go_after_90_days_and_usage_never(
    empty_url, database, clock, days, expected
):
    fill(empty_url, clock.now() - 60 * DAY, old=3)
    await Retention(database, make_settings(empty_url, **days)).prune()
    assert await left(database) == expected


async def test_the_service_removes_by_itself_also_after_an_hour_without_its_database(
    settings, empty_url, database, monkeypatch
):
    monkeypatch.setattr(retention, "INTERVAL", 0.05)
    failures = iter([True, True])
    prune = Retention.prune

    async def fail_at_first(self):
        if next(failures, False):
            raise TimeoutError
        return await prune(self)

    monkeypatch.setattr(Retention, "prune", fail_at_first)
    fill(empty_url, SystemClock().now() - 60 * DAY, old=3)
    async with running(create_app(settings)):

        async def is_gone():
            return await left(database) == (5, 6)

        await until(is_gone)
