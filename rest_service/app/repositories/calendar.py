"""Queries on calendar credentials. Tokens are encrypted on their way in and out, here alone."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert

from service_kit.contracts.calendar import CalendarRead, CalendarStatus, CalendarTokens, CalendarTokensWrite
from service_kit.logging import get_logger

from ..crypto import TokenBox, UnreadableTokenError
from ..errors.api import ConflictError
from ..models import calendar_credentials
from .base import Repository

log = get_logger(__name__)

_ACCESS, _REFRESH = "access_token", "refresh_token"
_table = calendar_credentials


class CalendarRepository(Repository[CalendarRead]):
    """`calendar_credentials`; what the base answers has no tokens."""

    table = _table
    read = CalendarRead
    noun = "calendar of user"
    order = (_table.c.user_id,)

    def _select(self) -> Select[Any]:
        shown = [column for column in _table.columns if column.name not in {_ACCESS, _REFRESH}]
        return select(*shown, _table.c.refresh_token.is_not(None).label("has_refresh_token"))

    def _parse(self, row: Mapping[Any, Any]) -> CalendarRead:
        known = {"has_refresh_token": row.get(_REFRESH) is not None}
        return super()._parse(known | dict(row))

    async def tokens(self, user_id: int, box: TokenBox) -> CalendarTokens:
        """The tokens in clear.

        Raises:
            NotFoundError: the user has linked no calendar.
            ConflictError: the stored text does not belong here, or its key is gone.
        """
        row = await self._fetch(select(_table).where(_table.c.user_id == user_id))
        if row is None:
            raise self.not_found(user_id)
        try:
            clear = {
                column: box.decrypt(row[column], user_id=user_id, column=column)
                for column in (_ACCESS, _REFRESH)
                if row[column] is not None
            }
        except UnreadableTokenError as exc:
            log.error("tokens_unreadable", user_id=user_id, reason=str(exc))  # noqa: TRY400 - no place, a finding
            msg = (
                f"The stored tokens of user {user_id} cannot be used: {exc}. "
                f"Let the user link the calendar again, or forget it with DELETE /api/calendar/{user_id}."
            )
            raise ConflictError(msg) from exc
        return CalendarTokens.model_validate(dict(row) | clear)

    async def store(self, user_id: int, body: CalendarTokensWrite, box: TokenBox) -> CalendarRead:
        """The outcome of a consent or a refresh; an old refresh token stays where none comes."""
        values: dict[str, Any] = {
            "user_id": user_id,
            _ACCESS: box.encrypt(body.access_token, user_id=user_id, column=_ACCESS),
            _REFRESH: body.refresh_token
            and box.encrypt(body.refresh_token, user_id=user_id, column=_REFRESH),
            "expires_at": body.expires_at,
            "scopes": body.scopes,
            "status": CalendarStatus.LINKED,
        }
        new = insert(_table).values(values)
        # Google sends a refresh token with the first consent only
        kept = func.coalesce(new.excluded.refresh_token, _table.c.refresh_token)
        columns = {name: new.excluded[name] for name in values if name not in {"user_id", _REFRESH}}
        statement = new.on_conflict_do_update(index_elements=["user_id"], set_=columns | {_REFRESH: kept})
        return self._parse_found(await self._fetch(statement.returning(*_table.columns)), user_id)
