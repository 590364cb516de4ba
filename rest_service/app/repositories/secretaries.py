"""Exactly one active secretary is the default: the one that answers people.

The database sees to "at most one, and only one that can answer" (`uq_assistants_one_default`,
`ck_assistants_default_answers`). "At least one, while there is any" is seen to here: whatever may
change it takes the lock, writes, and lets `settle` look afterwards, in one transaction. Plain
`Connection`s, so that the import and the default rows of a first start share it.
"""

from uuid import UUID

from sqlalchemy import Connection, func, select, update

from ..errors.api import ConflictError
from ..locks import SECRETARIES
from ..models import assistants

_ANSWERS = assistants.c.is_secretary & assistants.c.is_active


def lock(connection: Connection) -> UUID | None:
    """Until the transaction ends, nobody else changes the default; which one it is."""
    connection.execute(select(func.pg_advisory_xact_lock(SECRETARIES)))
    found: UUID | None = connection.scalar(select(assistants.c.id).where(assistants.c.is_default))
    return found


def step_back(connection: Connection) -> None:
    """There is no default for the moment: the caller names another one next."""
    connection.execute(update(assistants).where(assistants.c.is_default).values(is_default=False))


def settle(connection: Connection, before: UUID | None) -> None:
    """Where the default has gone, the oldest active secretary becomes it.

    Raises:
        ConflictError: there was a default before, and now nobody could be it.
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
            "This is the only active secretary, and people would get no answer any more. "
            "Create or activate another secretary first."
        )
        raise ConflictError(msg)
