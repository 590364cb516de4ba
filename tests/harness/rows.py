"""Many rows in a few seconds, made by PostgreSQL itself, for measurements and looks at query plans."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, create_engine, make_url, text

FIRST_TELEGRAM_ID = 5_000_000_000
"""Of user number 0; larger than 32 bits, as new accounts have it."""
FAMILY = 10
"""Of so many assistants in a row, the first is a secretary that asks the next two."""

_USERS = """
INSERT INTO telegram_users (telegram_id, username, first_name, language, timezone)
SELECT :first + n, 'user' || n, 'User ' || n, 'en', 'Europe/Berlin' FROM generate_series(0, :users - 1) n
"""
_ASSISTANTS = """
INSERT INTO assistants (id, name, is_secretary, model, instructions, settings)
SELECT md5('assistant' || n)::uuid, 'Assistant ' || n, n % :family = 0, 'default',
       'You are assistant ' || n || '. ' || repeat('Answer shortly and truly. ', 10), '{"temperature": 0.5}'
FROM generate_series(0, :assistants - 1) n
"""
_TOOLS = """
INSERT INTO tools (id, name, tool_type, description, input_schema, assistant_id)
SELECT md5('tool' || n)::uuid,
       CASE WHEN asked THEN 'ask_' ELSE 'tool_' END || n,
       CASE WHEN asked THEN 'sub_assistant' ELSE 'time' END,
       'Does what tool ' || n || ' does.',
       '{"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}',
       CASE WHEN asked THEN md5('assistant' || n)::uuid END
FROM (SELECT n, n % :family IN (1, 2) AS asked FROM generate_series(0, :assistants - 1) n) numbers
"""
_LINKS = """
INSERT INTO assistant_tool_links (assistant_id, tool_id)
SELECT md5('assistant' || n)::uuid, md5('tool' || (n - n % :family + tool))::uuid
FROM generate_series(0, :assistants - 1) n
JOIN LATERAL unnest(CASE n % :family WHEN 0 THEN ARRAY[1, 2, 3, 4, 5] WHEN 1 THEN ARRAY[6, 7]
                    WHEN 2 THEN ARRAY[8, 9] ELSE ARRAY[3] END) tool ON true
WHERE n - n % :family + tool < :assistants
"""
_JOBS = """
INSERT INTO cron_jobs (name, cron_expression, timezone, user_id, message, is_active, status, next_run_at)
SELECT 'Job ' || n, '0 9 * * *', 'Europe/Berlin', ids[1 + n % array_length(ids, 1)], 'Vitamins',
       n % 20 <> 0, CASE WHEN n % 20 = 1 THEN 'done' ELSE 'active' END,
       CASE WHEN n % 20 > 1 THEN now() + n * interval '10 seconds' END
FROM generate_series(0, :jobs - 1) n, (SELECT array_agg(id) AS ids FROM telegram_users) users
"""
_FIRINGS = """
INSERT INTO cron_job_records (cron_job_id, scheduled_for, status, finished_at)
SELECT id, now() - interval '1 day', CASE WHEN id % 1000 = 0 THEN 'running' ELSE 'done' END,
       CASE WHEN id % 1000 <> 0 THEN now() - interval '1 day' END
FROM cron_jobs
"""
_THREADS = """
INSERT INTO user_assistant_threads (user_id, assistant_id, thread_id)
SELECT id, md5('assistant' || (id % :assistants))::uuid, 'thread_' || id FROM telegram_users
"""
_CALENDARS = """
INSERT INTO calendar_credentials (user_id, access_token, scopes)
SELECT id, 'not a token', '{}' FROM telegram_users
"""


@dataclass(frozen=True)
class Amounts:
    """How many rows; each job has one firing; with jobs, each user has a thread and a
    calendar."""

    users: int
    assistants: int
    jobs: int = 0


def assistant_id(number: int) -> UUID:
    """Of assistant `number`, as `md5('assistant' || number)::uuid` makes it."""
    return UUID(hashlib.md5(f"assistant{number}".encode(), usedforsecurity=False).hexdigest())


def fill(url: str, amounts: Amounts) -> None:
    """Fill the empty tables of the migrated database at `url`, and let the planner know."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            _insert(connection, amounts)
            connection.execute(text("VACUUM ANALYZE"))
    finally:
        engine.dispose()


def _insert(connection: Connection, amounts: Amounts) -> None:
    numbers = {
        "users": amounts.users,
        "assistants": amounts.assistants,
        "jobs": amounts.jobs,
        "family": FAMILY,
        "first": FIRST_TELEGRAM_ID,
    }
    statements = [_USERS, _ASSISTANTS, _TOOLS, _LINKS]
    if amounts.jobs:
        statements += [_JOBS, _FIRINGS, _THREADS, _CALENDARS]
    for statement in statements:
        connection.execute(text(statement), numbers)
