"""Which revision of the schema the database is at, and which one this version needs."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from .config import DatabaseSettings
from .database import Database, wait_for_database
from .errors.api import UnavailableError

ALEMBIC_INI = Path(__file__).resolve().parents[1] / "alembic.ini"


def alembic_config(settings: DatabaseSettings) -> Config:
    """Alembic's configuration, with the address that `env.py` connects to."""
    config = Config(ALEMBIC_INI)
    config.attributes["settings"] = settings
    return config


def head() -> str | None:
    """The newest revision among the migrations that come along."""
    return ScriptDirectory.from_config(Config(ALEMBIC_INI)).get_current_head()


def revision(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    # an empty database is at no revision; to select from it would fail
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def require_head(settings: DatabaseSettings) -> None:
    """Return when the database answers and has the schema of this version.

    Raises:
        SystemExit: it does not answer in time, or it has another schema; the text says what to do.
    """
    database = Database(settings)
    try:
        await wait_for_database(database, settings.db_wait_seconds)
        async with database.engine.connect() as connection:
            found = await connection.run_sync(revision)
    except UnavailableError as exc:
        raise SystemExit(unreachable_message(settings)) from exc
    finally:
        await database.aclose()
    wanted = head()
    if found != wanted:
        msg = (
            f"The database is at schema revision {found or 'none'}, this version needs {wanted}. "
            "Run ./manage.py upgrade (or python -m rest_service.app.migrate), then start again."
        )
        raise SystemExit(msg)


def unreachable_message(settings: DatabaseSettings) -> str:
    """What to say when the database does not answer."""
    return (
        f"PostgreSQL does not answer at {settings.database_url.render_as_string()} "
        f"(waited {settings.db_wait_seconds:.0f} s). Is it running, and are POSTGRES_HOST, POSTGRES_PORT, "
        "POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB (or ASYNC_DATABASE_URL) right?"
    )
