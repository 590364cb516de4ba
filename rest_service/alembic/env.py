"""How migrations run: synchronously with psycopg2, one process at a time, never waiting long for a lock."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from rest_service.app.config import DatabaseSettings
from rest_service.app.locks import SCHEMA
from rest_service.app.models import metadata
from service_kit.settings import load

TURN_TIMEOUT = "300s"
"""How long another process's migration is waited for."""
LOCK_TIMEOUT = "5s"
"""How long a table that is in use is waited for: queued behind us, every request would wait as long."""


def run() -> None:
    """Bring the database to the revision that was asked for."""
    settings = context.config.attributes.get("settings") or load(DatabaseSettings)
    if context.is_offline_mode():
        context.configure(url=settings.sync_database_url, target_metadata=metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = create_engine(settings.sync_database_url, poolclass=pool.NullPool)
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{TURN_TIMEOUT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()


run()
