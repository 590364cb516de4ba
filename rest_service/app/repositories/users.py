"""Queries on users. A user of another bot than the current one is not found.

Every message reads a user, so these statements are prebuilt.
"""

from uuid import UUID

from sqlalchemy import bindparam, select

from service_kit.changes import Topic
from service_kit.contracts.users import UserRead, UserRole

from ..models import users
from .base import Repository, Values
from .bots import OF_CURRENT_BOT

_BY_ID = select(users).where(users.c.id == bindparam("id"), OF_CURRENT_BOT)
_BY_TELEGRAM_ID = select(users).where(users.c.telegram_id == bindparam("telegram_id"), OF_CURRENT_BOT)
_OWNER = select(users).where(users.c.role == UserRole.OWNER, OF_CURRENT_BOT)
_UNANNOUNCED = frozenset({"last_seen_at"})
"""Set at every message, and no reader needs it: announcing it would empty all caches all the time."""

_REACHABLE_BY = frozenset({"is_active", "role"})
"""These decide whether a user's jobs fire, so schedulers need to know."""


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
        return self._parse_found(row, f"with telegram_id {telegram_id}")

    async def owner(self) -> UserRead:
        """The owner; raises NotFoundError where there is none yet."""
        return self._parse_found(await self._fetch(_OWNER), "who is the owner")

    async def get(self, key: UUID | int) -> UserRead:
        """The user, if theirs is the current bot; raises NotFoundError."""
        return self._parse_found(await self._fetch(_BY_ID, {"id": key}), key)

    def _mark_changed(self, values: Values) -> None:
        # schedulers read jobs, not users
        if values.keys() & _REACHABLE_BY:
            self.unit.mark_changed(Topic.JOBS)
        if not values or values.keys() - _UNANNOUNCED:
            super()._mark_changed(values)
