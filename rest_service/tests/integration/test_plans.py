"""No query that a service makes reads a whole table, with 100,000 rows in each.

The statements are the ones the API really sends: they are taken on their way, and PostgreSQL is asked
how it would run them, once with these values and once as a prepared statement for any values.
"""

import time
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from sqlalchemy import create_engine, event, make_url, text

from rest_service.app.main import create_app
from rest_service.app.retention import Retention
from rest_service.tests.support import empty, make_settings, migrated_database, running
from service_kit.testing.clock import FakeClock
from tests.harness.rows import FIRST_TELEGRAM_ID, Amounts, assistant_id, fill

pytestmark = pytest.mark.integration

ROWS = 100_000
ROOT = assistant_id(500)
USER = 77_777
"""Its row's id; the first is 1."""
DAY = "2026-03-01"

MORE = (
    f"""
    INSERT INTO usage_records SELECT 'tg:' || n, 'tg:' || n, u.id, a.id, a.name, 'provider/' || n % 100,
           'answer', 1, 1, 1, 1, 1, TIMESTAMPTZ '2026-01-01Z' + n * INTERVAL '5 minutes'
    FROM generate_series(1, {ROWS}) n
    JOIN (SELECT id, row_number() OVER () AS n FROM telegram_users) u USING (n)
    JOIN (SELECT id, name, row_number() OVER () AS n FROM assistants) a USING (n)
    """,
    f"INSERT INTO discards (kind, reference) SELECT 'thread', 'conv_' || n FROM generate_series(1, {ROWS}) n",
    "ANALYZE usage_records, discards",
)
"""Rows of the tables that grow with use."""

ASKS = ContextVar("ASKS", default=False)
JOBS_TO_FIRE = "/api/cron-jobs?is_active=true&status=active&is_reachable=true&limit=200"
READS = {
    "user by id": f"/api/users/{USER}",
    "user by telegram_id": f"/api/users/by-telegram-id/{FIRST_TELEGRAM_ID + 5}",
    "users by telegram_id": f"/api/users?telegram_id={FIRST_TELEGRAM_ID + 5}",
    "owner": "/api/users?role=owner",
    "assistant by id": f"/api/assistants/{ROOT}",
    "tree": f"/api/assistants/{ROOT}/tree",
    "secretaries": "/api/assistants?is_secretary=true&is_active=true&limit=200",
    "tools": "/api/tools?limit=200",
    "links of an assistant": f"/api/assistant-tools?assistant_id={ROOT}&limit=200",
    "thread of a pair": f"/api/user-threads?user_id={USER}&assistant_id={assistant_id(USER)}",
    "active jobs": f"{JOBS_TO_FIRE}&after_id=0",
    "active jobs for people": "/api/cron-jobs?is_active=true&status=active&limit=200",
    "active jobs further on": f"{JOBS_TO_FIRE}&after_id=50000",
    "due jobs": "/api/cron-jobs?due_until=2000-01-01T00:00:00Z&limit=200",
    "jobs of a user": f"/api/cron-jobs?user_id={USER}",
    "job by id": "/api/cron-jobs/50000",
    "open firings": "/api/cron-jobs/firings?status=running&is_reachable=true&limit=200",
    "firings of a job": "/api/cron-jobs/50000/firings",
    "calendar": f"/api/calendar/{USER}",
    "jobs of a user that may fire": f"/api/cron-jobs?user_id={USER}&status=active&limit=200",
    "discards": "/api/discards?limit=200",
    "usage": "/api/usage",
    "usage of a user": f"/api/usage?user_id={USER}",
    "usage of an assistant": f"/api/usage?assistant_id={assistant_id(USER)}",
    "usage of a model": "/api/usage?model=provider/7",
    "totals of a day": f"/api/usage/totals?group_by=user&since={DAY}T00:00:00Z&until={DAY}T23:59:59Z",
}
COUNTED = {"tools", "active jobs for people", "usage", "discards"}
"""Lists of nearly all rows: their total is a number that PostgreSQL can only count."""

WRITES = {
    "user was seen": ("PATCH", f"/api/users/{USER}", {"last_seen_at": "2026-11-22T10:00:00Z"}, 200),
    "job is switched off": ("PATCH", "/api/cron-jobs/50001", {"is_active": False}, 200),
    "firing is claimed": ("POST", "/api/cron-jobs/50003/firings", None, 201),
    "firing is reported": ("PATCH", "/api/cron-jobs/51000/firings/51000", {"status": "done"}, 200),
    "job is made once": (
        "POST",
        "/api/cron-jobs",
        {
            "name": "n",
            "run_at": "2027-01-01T00:00:00Z",
            "user_id": USER,
            "message": "m",
            "idempotency_key": "k",
        },
        201,
    ),
    "usage is stored": (
        "POST",
        "/api/usage",
        [
            {
                "id": f"tg:new{number}",
                "message_id": "tg:new",
                "user_id": USER + number,
                "assistant": "A",
                "model": "m",
                "assistant_id": str(assistant_id(USER + number)),
                "at": "2026-11-22T09:00:00Z",
            }
            for number in range(20)
        ],
        200,
    ),
    "discard is forgotten": ("DELETE", "/api/discards/50000", None, 204),
    "thread is forgotten": ("DELETE", "/api/user-threads/{thread}", None, 204),
    "user is deleted": ("DELETE", "/api/users/40000", None, 204),
    "secretary is deleted": ("DELETE", f"/api/assistants/{assistant_id(77_000)}", None, 204),
    "assistant in use is not": ("DELETE", f"/api/assistants/{assistant_id(78_001)}", None, 409),
}
"""What a request sends, and how it is answered."""


@pytest.fixture(scope="module")
def full_url(database_url):
    with migrated_database(database_url, "plans") as url:
        empty(url)
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
        with engine.begin() as connection:
            connection.execute(text("ALTER SEQUENCE telegram_users_id_seq RESTART"))
            connection.execute(text("ALTER SEQUENCE cron_jobs_id_seq RESTART"))
        fill(url, Amounts(users=ROWS, assistants=ROWS, jobs=ROWS))
        with engine.begin() as connection:
            for statement in MORE:
                connection.execute(text(statement))
        engine.dispose()
        yield url


@pytest.fixture(scope="module")
def planner(full_url):
    engine = create_engine(make_url(full_url).set(drivername="postgresql+psycopg2"))
    yield engine
    engine.dispose()


@pytest.fixture
async def api(full_url):
    async with running(create_app(make_settings(full_url)), FakeClock()) as started:
        yield started


@contextmanager
def taken(api):
    """The statements that are sent by who asks, with their values; not those of the service's upkeep."""
    statements = []
    token = ASKS.set(True)
    engine = api.app.state.parts.database.engine.sync_engine

    def note(_connection, _cursor, statement, parameters, *_rest):
        if ASKS.get() and not statement.startswith(("BEGIN", "COMMIT", "SELECT pg_advisory")):
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)
    ASKS.reset(token)


def scans(plan):
    if plan["Node Type"] == "Seq Scan":
        yield f"{plan['Relation Name']} by {plan.get('Filter', 'nothing')}"
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


async def whole_tables_read(api, planner, statement, parameters):
    async with api.app.state.parts.database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        for_these = await raw.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *parameters)
    # asyncpg would ask for values, which a plan for any values has none of
    with planner.connect() as sync:
        for_any = sync.exec_driver_sql(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {statement}").scalar()
    return [found for plan in (for_these, for_any) for found in scans(plan[0]["Plan"])]


@pytest.mark.parametrize("name", READS)
async def test_no_read_of_a_service_reads_a_whole_table(api, planner, name):
    with taken(api) as statements:
        started = time.monotonic()
        response = await api.get(READS[name])
        seconds = time.monotonic() - started
    assert response.status_code in {200, 404}, response.text
    assert statements
    for statement, parameters in statements:
        if name in COUNTED and "count(" in statement:
            continue
        assert await whole_tables_read(api, planner, statement, parameters) == [], statement
    assert seconds < 5


@pytest.mark.parametrize("name", WRITES)
async def test_no_write_of_a_service_reads_a_whole_table(api, planner, name):
    method, path, body, status = WRITES[name]
    if "{thread}" in path:
        (thread,) = (await api.get(READS["thread of a pair"])).json()
        path = path.format(thread=thread["id"])
    if name == "firing is claimed":
        job = (await api.get("/api/cron-jobs/50003")).json()
        body = {"scheduled_for": job["next_run_at"]}
    with taken(api) as statements:
        response = await api.ask(method, path, json=body)
    assert response.status_code == status, response.text
    assert statements
    for statement, parameters in statements:
        assert await whole_tables_read(api, planner, statement, parameters) == [], statement


async def test_what_is_too_old_is_found_without_reading_a_whole_table(api, planner, full_url):
    settings = make_settings(full_url, firing_retention_days=9000, usage_retention_days=9000)
    with taken(api) as statements:
        await Retention(api.app.state.parts.database, settings).prune()
    removals = [(statement, values) for statement, values in statements if statement.startswith("DELETE")]
    assert len(removals) == 2
    for statement, parameters in removals:
        assert await whole_tables_read(api, planner, statement, parameters) == [], statement
