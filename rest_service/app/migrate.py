"""`python -m rest_service.app.migrate`: the schema to its newest revision, the default rows, the API's role.

Safe to run by several at once and again and again: all steps stand under one advisory lock, and each
sees what the other has committed.
"""

import time

from alembic import command
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError

from service_kit.logging import configure_logging, get_logger
from service_kit.settings import load

from .api_role import grant
from .config import ApiRole, DatabaseSettings, MigrationSettings
from .schema import alembic_config, unreachable_message
from .seeding import seed

log = get_logger(__name__)

CONNECT_TIMEOUT = 5


def migrate(settings: DatabaseSettings, role: ApiRole | None = None) -> None:
    """Wait for the database, upgrade it, seed it, let `role` use it.

    Raises:
        SystemExit: the database does not answer in time; the text says what to look at.
    """
    engine = create_engine(
        settings.sync_database_url, hide_parameters=True, connect_args={"connect_timeout": CONNECT_TIMEOUT}
    )
    try:
        _wait(engine, settings)
        command.upgrade(alembic_config(settings), "head")
        # one transaction: the API starts with default rows and rights, or not at all
        with engine.begin() as connection:
            seeded = seed(connection, settings.default_assistants_file)
            if role is not None:
                grant(connection, role)
    finally:
        engine.dispose()
    log.info("migrated", default_rows="made" if seeded else "there already")


def _wait(engine: Engine, settings: DatabaseSettings) -> None:
    deadline = time.monotonic() + settings.db_wait_seconds
    while True:
        try:
            engine.connect().close()
        except OperationalError as exc:
            if time.monotonic() >= deadline:
                raise SystemExit(f"{unreachable_message(settings)}\n{exc.orig}") from None
            log.info("waiting_for_database")
            time.sleep(min(1.0, max(0.05, settings.db_wait_seconds / 20)))
        else:
            return


def main() -> None:
    """The process."""
    settings = load(MigrationSettings)
    configure_logging("migrate", settings)
    migrate(settings, settings.api_role)


if __name__ == "__main__":
    main()
