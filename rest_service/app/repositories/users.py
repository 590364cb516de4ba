"""Queries on people: who belongs to another bot than the one that plays is nobody.

Reading one stands on the way of every message, so its statements are prebuilt.
"""

from uuid import UUID

from sqlalchemy import bindparam, select

from service_kit.changes import Topic
from service_kit.contracts.users import UserRead, UserRole

from ..models import users
from .base import Repository, Values
from .bots import PLAYS

_BY_ID = select(users).where(users.c.id == bindparam("id"), PLAYS)
_BY_TELEGRAM_ID = select(users).where(users.c.telegram_id == bindparam("telegram_id"), PLAYS)
_OWNER = select(users).where(users.c.role == UserRole.OWNER, PLAYS)
_UNANNOUNCED = frozenset({"last_seen_at"})
"""Set at every message, and nobody acts on it: announcing it would empty the readers' caches all the time."""

_REACHABLE_BY = frozenset({"is_active", "role"})
"""A user's jobs rest and fire with these: schedulers are told."""


class UserRepository(Repository[UserRead]):
    """`telegram_users`."""

    table = users
    read = UserRead
    noun = "user"
    order = (users.c.id,)
    topic = Topic.USERS

    async def by_telegram_id(self, telegram_id: int) -> UserRead:
        """The user of a Telegram account; raises NotFoundError."""
        row = await self._fetch(_BY_TELEGRAM_ID, {"telegram_id": telegram_id})
        return self._one(row, f"with telegram_id {telegram_id}")

    async def owner(self) -> UserRead:
        """The owner; raises NotFoundError where nobody has become it yet."""
        return self._one(await self._fetch(_OWNER), "who is the owner")

    async def get(self, key: UUID | int) -> UserRead:
        """The user, where the bot that they talk to plays; raises NotFoundError."""
        return self._one(await self._fetch(_BY_ID, {"id": key}), key)

    def _changed(self, values: Values) -> None:
        if values.keys() & _REACHABLE_BY:
            self.unit.mark_changed(Topic.JOBS)
        if not values or values.keys() - _UNANNOUNCED:
            super()._changed(values)
