import asyncio
import os
import subprocess
import sys

import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from rest_service.app.config import ApiRole, MigrationSettings
from rest_service.app.migrate import migrate
from rest_service.app.models import metadata
from rest_service.app.schema import alembic_config, head
from rest_service.app.seeding import DEFAULT, load_file
from rest_service.tests.support import make_settings, own_database, until
from service_kit.testing.faulty_line import FaultyLine

pytestmark = pytest.mark.integration


@pytest.fixture
def fresh(database_url):
    with own_database(database_url, "migrations") as url:
        yield make_settings(url)


@pytest.fixture
def ask(fresh):
    engine = create_engine(fresh.sync_database_url)

    def run(statement):
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else None

    yield run
    engine.dispose()


def test_up_and_down_and_up_again(fresh, ask):
    config = alembic_config(fresh)
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    left = ask(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' "
        "UNION ALL SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace "
        "WHERE nspname = 'public'"
    )
    assert {row[0] for row in left} == {"alembic_version", "alembic_version_pkc"}
    command.upgrade(config, "head")
    assert ask("SELECT version_num FROM alembic_version") == [(head(),)]


def test_the_migrations_make_what_the_models_say(fresh, ask):
    migrate(fresh)
    command.check(alembic_config(fresh))
    # what alembic does not compare
    checks = {row[0] for row in ask("SELECT conname FROM pg_constraint WHERE contype = 'c'")}
    wanted = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if str(constraint.name).startswith("ck_")
    }
    assert {name for name in checks if name.startswith("ck_")} == wanted
    triggers = {
        row[0]
        for row in ask("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'set_updated_at'")
    }
    assert triggers == set(metadata.tables)


def test_partial_indexes_have_the_conditions_of_the_models(fresh, ask):
    migrate(fresh)
    stored = {
        row[0] for row in ask("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
    }
    wanted = {
        index.name
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["postgresql"].get("where") is not None
    }
    assert stored == wanted


def test_two_at_once_migrate_and_seed_once(fresh, ask):
    variables = os.environ | {"ASYNC_DATABASE_URL": fresh.database_url.render_as_string(hide_password=False)}
    several = [
        subprocess.Popen([sys.executable, "-m", "rest_service.app.migrate"], env=variables, stderr=-1)
        for _ in range(3)
    ]
    for process in several:
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
    assert ask("SELECT name FROM assistants ORDER BY created_at") == [("Secretary",), ("Planner",)]
    default = load_file(DEFAULT)
    assert ask("SELECT count(*) FROM tools") == [(len(default.tools),)]
    assert ask("SELECT count(*) FROM assistant_tool_links") == [(len(default.links),)]


def test_default_rows_are_made_at_the_first_start_only(fresh, ask):
    migrate(fresh)
    ask("UPDATE assistants SET name = 'Mine' WHERE name = 'Secretary'")
    migrate(fresh)
    assert {row[0] for row in ask("SELECT name FROM assistants")} == {"Mine", "Planner"}
    [(tool, asked)] = ask("SELECT t.name, a.name FROM tools t JOIN assistants a ON a.id = t.assistant_id")
    assert (tool, asked) == ("ask_planner", "Planner")


def test_a_wrong_file_of_default_rows_leaves_nothing_behind(fresh, ask, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(
        '{"assistants": [{"name": "A", "model": "m", "instructions": "i"}], '
        '"tools": [{"name": "t", "tool_type": "time", "description": "d", "input_schema": {"type": "null"}}]}'
    )
    with pytest.raises(SystemExit, match="top level"):
        migrate(fresh.model_copy(update={"default_assistants_file": path}))
    assert ask("SELECT count(*) FROM assistants") == [(0,)]
    migrate(fresh)
    assert ask("SELECT count(*) FROM assistants") == [(2,)]


def test_updated_at_moves_with_a_change_and_only_then(fresh, ask):
    migrate(fresh)
    [(created, updated)] = ask("SELECT created_at, updated_at FROM tools WHERE name = 'current_time'")
    ask("UPDATE tools SET name = name")
    assert ask("SELECT updated_at FROM tools WHERE name = 'current_time'") == [(updated,)]
    ask("UPDATE tools SET description = 'new'")
    assert ask("SELECT updated_at FROM tools WHERE name = 'current_time'")[0][0] > max(created, updated)


def test_a_table_in_use_is_not_waited_for_long(fresh, ask):
    """A migration that queues behind a long transaction would hold up every request behind itself."""
    migrate(fresh)
    engine = create_engine(fresh.sync_database_url)
    with engine.connect() as holder:
        holder.execute(text("SELECT * FROM tools"))
        with pytest.raises(Exception, match="lock timeout"):
            command.downgrade(alembic_config(fresh), "base")
    engine.dispose()
    assert ask("SELECT version_num FROM alembic_version") == [(head(),)]


def test_a_database_that_is_away_is_named_without_its_password():
    settings = make_settings("postgresql://someone:hidden@127.0.0.1:1/test", db_wait_seconds=0.1)
    with pytest.raises(SystemExit) as refusal:
        migrate(settings)
    assert "127.0.0.1:1" in str(refusal.value)
    assert "hidden" not in str(refusal.value)


async def test_a_database_that_comes_a_moment_later_is_waited_for(fresh, ask):
    url = fresh.sync_database_url
    async with FaultyLine(url.host, url.port) as line:
        await line.close()
        place = url.set(host="127.0.0.1", port=line.port).render_as_string(hide_password=False)
        settings = make_settings(place, db_wait_seconds=60)
        with capture_logs() as logged:
            migrating = asyncio.create_task(asyncio.to_thread(migrate, settings))
            await until(lambda: is_waiting(logged))
            await line.open()
            await migrating
    assert ask("SELECT count(*) FROM assistants")[0][0] > 0


async def is_waiting(logged):
    return any(entry["event"] == "waiting_for_database" for entry in logged)


def test_the_apis_role_is_made_once_and_again_with_another_password(fresh, ask):
    role = f"api_{os.getpid()}"
    try:
        for password in ("first", "it's the second"):
            migrate(fresh, ApiRole(role, SecretStr(password)))
            url = fresh.sync_database_url.set(username=role, password=password)
            engine = create_engine(url)
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM assistants")) > 0
                with pytest.raises(ProgrammingError, match="permission denied"):
                    connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
            engine.dispose()
    finally:
        ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_with_one_address_or_one_role_there_is_no_second_role():
    password, other = SecretStr("p"), SecretStr("q")
    own = MigrationSettings(postgres_password=password, postgres_api_password=other)
    assert own.api_role == ApiRole("smart_assistant_api", other)
    assert MigrationSettings(postgres_password=password).api_role is None
    whole = SecretStr("postgresql://u:p@h/d")
    assert MigrationSettings(async_database_url=whole, postgres_api_password=other).api_role is None
    same = MigrationSettings(
        postgres_password=password, postgres_api_password=other, postgres_api_user="smart_assistant"
    )
    assert same.api_role is None


def test_every_foreign_key_has_an_index(fresh):
    """Deleting a user or an assistant looks for what refers to it."""
    migrate(fresh)
    engine = create_engine(make_url(fresh.sync_database_url))
    inspector = inspect(engine)
    for table in metadata.tables:
        indexed = {index["column_names"][0] for index in inspector.get_indexes(table)}
        indexed |= {inspector.get_pk_constraint(table)["constrained_columns"][0]}
        for key in inspector.get_foreign_keys(table):
            assert key["constrained_columns"][0] in indexed, f"{table}.{key['constrained_columns']}"
    engine.dispose()


def test_the_oldest_active_secretary_of_before_becomes_the_default(fresh, ask):
    config = alembic_config(fresh)
    command.upgrade(config, "0001")
    for name, secretary, active in (("Off", True, False), ("Planner", False, True), ("A", True, True)):
        ask(
            "INSERT INTO assistants (name, is_secretary, is_active, model, instructions, created_at) "
            f"VALUES ('{name}', {secretary}, {active}, 'm', 'i', clock_timestamp())"
        )
    ask(
        "INSERT INTO assistants (name, is_secretary, model, instructions, created_at) "
        "VALUES ('B', true, 'm', 'i', clock_timestamp())"
    )
    command.upgrade(config, "0002")
    assert ask("SELECT name FROM assistants WHERE is_default") == [("A",)]


def test_an_upgrade_keeps_the_people_of_the_sandbox_from_a_real_bot(fresh, ask):
    config = alembic_config(fresh)
    command.upgrade(config, "0003")
    ask("INSERT INTO telegram_users (telegram_id, role) VALUES (1001, 'owner'), (100200300, 'member')")
    command.upgrade(config, "head")
    assert ask("SELECT telegram_id, bot_id FROM telegram_users ORDER BY id") == [
        (1001, 100_000),
        (100200300, 0),
    ]
    # the sandbox is known already, so only a real bot takes the others over
    assert ask("SELECT id, is_current FROM telegram_bots") == [(100_000, False)]


def test_one_shots_that_were_set_active_after_their_firing_are_over(fresh, ask):
    config = alembic_config(fresh)
    command.upgrade(config, "0004")
    ask("INSERT INTO telegram_users (id, telegram_id) VALUES (1, 1)")
    for name, run_at, cron, following in (
        ("stuck", "now()", "NULL", "NULL"),
        ("under way", "now()", "NULL", "NULL"),
        ("to come", "now()", "NULL", "now()"),
        ("daily", "NULL", "'0 9 * * *'", "now()"),
    ):
        ask(
            "INSERT INTO cron_jobs (name, run_at, cron_expression, next_run_at, user_id, message)"
            f" VALUES ('{name}', {run_at}, {cron}, {following}, 1, 'm')"
        )
    ask(
        "INSERT INTO cron_job_records (cron_job_id, scheduled_for, status)"
        " SELECT id, now(), CASE name WHEN 'stuck' THEN 'done' ELSE 'running' END FROM cron_jobs"
    )
    command.upgrade(config, "0005")
    assert ask("SELECT name FROM cron_jobs WHERE status = 'done'") == [("stuck",)]
    assert ask("SELECT count(*) FROM cron_jobs WHERE status = 'active'") == [(3,)]
