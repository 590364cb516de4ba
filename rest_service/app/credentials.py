"""The stored tokens as a whole: can they be opened at all, and are they encrypted with the newest key?

Plain `Connection`s: the service looks through `run_sync`, the rotation runs by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.exc import DBAPIError

from service_kit.logging import get_logger

from .crypto import MisplacedTokenError, TokenBox, UnknownKeyError
from .database import Database
from .errors.api import ConflictError, UnavailableError
from .models import calendar_credentials

log = get_logger(__name__)

COLUMNS = ("access_token", "refresh_token")
SAMPLE = 200
"""Rows that are looked at to tell whether the keys are right, the newest first."""
_table = calendar_credentials


class CalendarKeysError(ConflictError):
    """The keys are invalid, or open none of the stored tokens; the message says what to do."""

    code = "calendar_keys"


class CalendarKeys:
    """The keys of the stored tokens, used once they are known to be right.

    The calendar is optional: while its keys are wrong nothing else stops, and nothing is encrypted with
    them, for a typing error in `.env` must not make anybody link a calendar again.
    """

    def __init__(self, database: Database, keys: SecretStr | None) -> None:
        self._database = database
        self._keys = keys
        self._box: TokenBox | None = None

    async def box(self) -> TokenBox:
        """What opens the tokens; raises CalendarKeysError."""
        if self._box is None:
            self._box = await self._check_keys()
        return self._box

    async def problem(self) -> str | None:
        """Why the calendar does not work, in a sentence; None where it works or the database is away."""
        try:
            await self.box()
        except CalendarKeysError as exc:
            return exc.message
        except (UnavailableError, DBAPIError):
            return None  # the check of the database says it
        return None

    async def _check_keys(self) -> TokenBox:
        try:
            box = TokenBox(self._keys or SecretStr(""))
        except ValueError as exc:
            msg = f"CREDENTIALS_ENCRYPTION_KEYS cannot be used: {exc}. Correct it in .env, then start again."
            raise CalendarKeysError(msg) from exc
        async with self._database.read_unit() as unit:
            unreadable = await unit.connection.run_sync(find_unreadable, box)
        if unreadable:
            log.error("credentials_unreadable", users=unreadable, advice="link these calendars again")
        return box


@dataclass(slots=True)
class Rotation:
    """What a rotation has done, in users."""

    renewed: int = 0
    current: int = 0
    unknown_key: list[int] = field(default_factory=list)
    misplaced: list[int] = field(default_factory=list)


def find_unreadable(connection: Connection, box: TokenBox) -> list[int]:
    """Users among the newest whose tokens no key opens.

    Raises:
        CalendarKeysError: that is all of them.
    """
    # the newest rows: old ones may be left from a key that was lost long ago
    newest = select(_table.c.user_id, *(_table.c[name] for name in COLUMNS)).order_by(
        _table.c.updated_at.desc()
    )
    rows = connection.execute(newest.limit(SAMPLE)).all()
    unreadable = [row.user_id for row in rows if not _opens(row, box)]
    if rows and len(unreadable) == len(rows):
        msg = (
            "CREDENTIALS_ENCRYPTION_KEYS opens none of the calendar tokens in the database: it is not the "
            "key they were encrypted with. Put that key back into .env (behind others, after a comma), or, "
            "where it is lost, let them go: ./manage.py rotate-keys --forget."
        )
        raise CalendarKeysError(msg)
    return unreadable


def rotate(connection: Connection, box: TokenBox) -> Rotation:
    """Encrypt with the first key whatever is not yet. Part of the caller's transaction."""
    done = Rotation()
    # locked: a token that is refreshed meanwhile must not be overwritten with the older one
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
    except MisplacedTokenError:  # the key is right; an error follows when the token is used
        return True
    return True
