"""The reads of every message as JSON: kept where they are kept, loaded where they are not."""

from functools import partial
from uuid import UUID

from . import kept
from .cache import LiveCache
from .database import Database
from .repositories.tree import tree
from .repositories.users import UserRepository


class Reads:
    """What the services ask for at every message. All raise NotFoundError and UnavailableError."""

    def __init__(self, database: Database, cache: LiveCache) -> None:
        self._database = database
        self._cache = cache

    async def user(self, user_id: int) -> bytes:
        """A `UserRead`, by id."""
        return await self._cache.get(kept.user(user_id), partial(self._load_user, user_id))

    async def account(self, telegram_id: int) -> bytes:
        """A `UserRead`, by Telegram account."""
        return await self._cache.get(kept.account(telegram_id), partial(self._load_account, telegram_id))

    async def tree(self, assistant_id: UUID) -> bytes:
        """An `AssistantTree`."""
        return await self._cache.get(kept.tree(assistant_id), partial(self._load_tree, assistant_id))

    async def _load_user(self, user_id: int) -> bytes:
        async with self._database.reading() as unit:
            return (await UserRepository(unit).get(user_id)).model_dump_json().encode()

    async def _load_account(self, telegram_id: int) -> bytes:
        async with self._database.reading() as unit:
            return (await UserRepository(unit).by_telegram_id(telegram_id)).model_dump_json().encode()

    async def _load_tree(self, assistant_id: UUID) -> bytes:
        async with self._database.reading() as unit:
            return (await tree(unit, assistant_id)).encode()
