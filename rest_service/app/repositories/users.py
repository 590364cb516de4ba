"""Queries on people. Reading one stands on the way of every message, so its statements are prebuilt."""

from uuid import UUID

from sqlalchemy import bindparam, select

from service_kit.changes import Topic
from service_kit.contracts.users import UserRead

from .. import kept
from ..models import users
from .base import Repository, Values

_BY_TELEGRAM_ID = select(users).where(users.c.telegram_id == bindparam("telegram_id"))
_UNANNOUNCED = frozenset({"last_seen_at"})
"""Set at every message, and nobody acts on it: announcing it would empty all caches all the time. Only what
this service keeps of the row itself is made old."""


class UserRepository(Repository[UserRead]):
    """`telegram_users`."""

    table = users
    read = UserRead
    noun = "user"
    order = (users.c.id,)
    topic = Topic.USERS

    async def by_telegram_id(self, telegram_id: int) -> UserRead:
        """The user of a Telegram account; raises NotFoundError."""
        result = await self.unit.connection.execute(_BY_TELEGRAM_ID, {"telegram_id": telegram_id})
        row = result.mappings().one_or_none()
        if row is None:
            raise self.missing(f"with telegram_id {telegram_id}")
        return self._parse(row)

    async def update(self, key: UUID | int, values: Values) -> UserRead:
        """As in the base."""
        user = await super().update(key, values)
        if "telegram_id" in values:
            self.unit.changed(Topic.ROWS)  # what was kept under the former account is old too
        self.unit.rows |= {kept.user(user.id), kept.account(user.telegram_id)}
        return user

    async def delete(self, key: UUID | int) -> None:
        """As in the base."""
        await super().delete(key)
        self.unit.changed(Topic.ROWS)

    def _changed(self, values: Values) -> None:
        if not values or values.keys() - _UNANNOUNCED:
            super()._changed(values)
