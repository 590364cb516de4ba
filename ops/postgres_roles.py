"""The roles of the suite's own PostgreSQL, made by its superuser, as whom nobody can log in.

The owner (POSTGRES_USER) owns the database and what is in it, and no more; migrations work as the owner and
make the role that the API works as. Both runtimes run these statements in single-user mode, in which a
statement is a line.
"""

from collections.abc import Mapping

from ops.errors import OpsError

SUPERUSER = "smart_assistant_superuser"
"""The role that initdb makes."""
DATABASE = OWNER = "smart_assistant"
API_USER = "smart_assistant_api"
"""Names where `.env` has none."""

_TAKE_OVER = """
DO $do$ DECLARE one record; BEGIN
FOR one IN
  SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind,
    c.oid::regclass AS name
  FROM pg_class c
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> {owner}
    AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
    )
LOOP EXECUTE format('ALTER %s %s OWNER TO %s', one.kind, one.name, {owner}); END LOOP;
FOR one IN
  SELECT oid::regprocedure AS name FROM pg_proc
  WHERE pronamespace = 'public'::regnamespace AND proowner <> {owner}
LOOP EXECUTE format('ALTER ROUTINE %s OWNER TO %s', one.name, {owner}); END LOOP;
END $do$;
"""


def roles(values: Mapping[str, str]) -> list[str]:
    """Statements for the database `postgres`: owner and database as `.env` has them now.

    So a new password in `.env`, or a new `.env` over old data, needs nobody's help.
    """
    owner, database, api = (
        _identifier(_name(values, name)) for name in ("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_API_USER")
    )
    password = _literal(values.get("POSTGRES_PASSWORD", ""))
    # a role that the migrations made for another owner is this one's to change
    grant = f"GRANT {api} TO {owner} WITH ADMIN OPTION"
    return [
        # older versions named this role like the suite's own, which could not be an ordinary one then
        f"UPDATE pg_authid SET rolname = '{SUPERUSER}', rolpassword = NULL WHERE oid = 10;",  # noqa: S608
        f"DO $do$ BEGIN CREATE ROLE {owner}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;",
        f"ALTER ROLE {owner} NOSUPERUSER CREATEROLE LOGIN PASSWORD {password};",
        f"DO $do$ BEGIN {grant}; EXCEPTION WHEN undefined_object THEN NULL; END $do$;",
        f"CREATE DATABASE {database} OWNER {owner};",
        f"ALTER DATABASE {database} OWNER TO {owner};",
    ]


def take_over(values: Mapping[str, str]) -> str:
    """The statement for the suite's database: what is in it becomes the owner's, whoever's it was."""
    owner = f"{_literal(_identifier(_name(values, 'POSTGRES_USER')))}::regrole"
    return " ".join(_TAKE_OVER.format(owner=owner).split())


def _name(values: Mapping[str, str], variable: str) -> str:
    name = values.get(variable) or (API_USER if variable == "POSTGRES_API_USER" else OWNER)
    if not name.isprintable() or name == SUPERUSER:
        msg = f"{variable}={name!r} cannot be used: choose another name, on one line"
        raise OpsError(msg)
    return name


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
