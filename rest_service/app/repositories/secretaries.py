"""Exactly one active secretary is the default: the one that answers people.

The database guarantees "at most one, and only one that can answer" (`uq_assistants_one_default`,
`ck_assistants_default_answers`). This module guarantees "at least one, while any secretary is active": a
change takes the lock, writes, and calls `ensure_default`, in one transaction. It works on a plain
`Connection`, because the import and the default rows of a first start use it too.
"""

from uuid import UUID

from sqlalchemy import Connection, func, select, update

from ..errors.api import ConflictError
from ..locks import SECRETARIES
from ..models import assistants

_ANSWERS = assistants.c.is_secretary & assistants.c.is_active


def lock(connection: Connection) -> UUID | None:
    """Hold the lock of the default until the transaction ends; return the default's id."""
    connection.execute(select(func.pg_advisory_xact_lock(SECRETARIES)))
    found: UUID | None = connection.scalar(select(assistants.c.id).where(assistants.c.is_default))
    return found


def clear_default(connection: Connection) -> None:
    """Leave no default; the caller sets another one next."""
    connection.execute(update(assistants).where(assistants.c.is_default).values(is_default=False))


def ensure_default(connection: Connection, before: UUID | None) -> None:
    """Make the oldest active secretary the default where there is none.

    Raises:
        ConflictError: there was a default before, and no active secretary is left.
    """
    if connection.scalar(select(assistants.c.id).where(assistants.c.is_default)) is not None:
        return
    oldest = connection.scalar(
        select(assistants.c.id).where(_ANSWERS).order_by(assistants.c.created_at, assistants.c.id).limit(1)
    )
    if oldest is not None:
        connection.execute(update(assistants).where(assistants.c.id == oldest).values(is_default=True))
    elif before is not None:
        msg = (
            "This is the only active secretary: without it users would get no answers. "
            "Create or activate another secretary first."
        )
        raise ConflictError(msg)
