"""The role that the API works as: it reads and writes rows, and can change no table.

Migrations work as the owner of the tables. So an attacker who controls the API can neither drop tables nor
disable a rule of the schema.
"""

from psycopg2.extensions import encrypt_password, quote_ident
from sqlalchemy import Connection, text

from .config import ApiRole


def grant(connection: Connection, role: ApiRole) -> None:
    """Make the role where it is missing, and let it use all tables. Part of the caller's transaction."""
    driver = connection.connection.driver_connection
    name = quote_ident(role.name, driver)
    # as the server would store it: so the password itself reaches no log
    verifier = encrypt_password(
        role.password.get_secret_value(), role.name, scope=driver, algorithm="scram-sha-256"
    )
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.scalar(known, {"name": role.name}) is None:
        connection.exec_driver_sql(f"CREATE ROLE {name}")
    for statement in (
        f"ALTER ROLE {name} LOGIN PASSWORD '{verifier}'",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}",
    ):
        connection.exec_driver_sql(statement)
