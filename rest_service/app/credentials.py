"""The stored tokens as a whole: can they be opened at all, and are they encrypted with the newest key?

Plain `Connection`s: a start looks through `run_sync`, the rotation runs by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, delete, select, update

from service_kit.logging import get_logger

from .config import CredentialSettings
from .crypto import MisplacedTokenError, TokenBox, UnknownKeyError
from .database import Database
from .models import calendar_credentials

log = get_logger(__name__)

COLUMNS = ("access_token", "refresh_token")
SAMPLE = 200
"""Rows that a start looks at, the newest first."""
_table = calendar_credentials


class WrongKeyError(Exception):
    """The keys open none of the stored tokens; the text says what to do."""


@dataclass(slots=True)
class Rotation:
    """What a rotation has done, in users."""

    renewed: int = 0
    current: int = 0
    unknown_key: list[int] = field(default_factory=list)
    misplaced: list[int] = field(default_factory=list)


async def require_readable(settings: CredentialSettings) -> None:
    """Return when the keys open the stored tokens; those of single users that stay closed are logged.

    Raises:
        SystemExit: they open none; the text says what to do.
    """
    database = Database(settings)
    try:
        async with database.engine.connect() as connection:
            closed = await connection.run_sync(unreadable, TokenBox(settings.credentials_encryption_keys))
    except WrongKeyError as exc:
        raise SystemExit(str(exc)) from None
    finally:
        await database.aclose()
    if closed:
        log.error("credentials_unreadable", users=closed, advice="link these calendars again")


def unreadable(connection: Connection, box: TokenBox) -> list[int]:
    """Users among the newest whose tokens no key opens.

    Raises:
        WrongKeyError: that is all of them.
    """
    newest = select(_table.c.user_id, *(_table.c[name] for name in COLUMNS)).order_by(
        _table.c.updated_at.desc()
    )
    rows = connection.execute(newest.limit(SAMPLE)).all()
    closed = [row.user_id for row in rows if not _opens(row, box)]
    if rows and len(closed) == len(rows):
        msg = (
            "CREDENTIALS_ENCRYPTION_KEYS opens none of the calendar tokens in the database: it is not the "
            "key they were encrypted with. Put that key back into .env (behind others, after a comma), or, "
            "where it is lost, let them go: ./manage.py rotate-keys --forget."
        )
        raise WrongKeyError(msg)
    return closed


def rotate(connection: Connection, box: TokenBox) -> Rotation:
    """Encrypt with the first key whatever is not yet. Part of the caller's transaction."""
    done = Rotation()
    for row in connection.execute(select(_table).order_by(_table.c.user_id).with_for_update()).all():
        if all(box.is_current(stored) for _, stored in _tokens(row)):
            done.current += 1
            continue
        try:
            renewed = {
                column: box.encrypt(_clear(box, row, column, stored), user_id=row.user_id, column=column)
                for column, stored in _tokens(row)
            }
        except UnknownKeyError:
            done.unknown_key.append(row.user_id)
        except MisplacedTokenError:
            done.misplaced.append(row.user_id)
        else:
            connection.execute(update(_table).where(_table.c.user_id == row.user_id).values(renewed))
            done.renewed += 1
    return done


def forget(connection: Connection, user_ids: list[int]) -> None:
    """Remove the credentials of these users: they link their calendars again."""
    connection.execute(delete(_table).where(_table.c.user_id.in_(user_ids)))


def _tokens(row: Row[tuple[object, ...]]) -> Iterator[tuple[str, str]]:
    for column in COLUMNS:
        stored = getattr(row, column)
        if stored is not None:
            yield column, stored


def _clear(box: TokenBox, row: Row[tuple[object, ...]], column: str, stored: str) -> str:
    return box.decrypt(stored, user_id=row.user_id, column=column)


def _opens(row: Row[tuple[object, ...]], box: TokenBox) -> bool:
    try:
        for column, stored in _tokens(row):
            _clear(box, row, column, stored)
    except UnknownKeyError:
        return False
    except MisplacedTokenError:  # opened it was; whoever reads it is told
        return True
    return True
