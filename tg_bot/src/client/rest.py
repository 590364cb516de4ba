"""Users, from rest_service: a thin facade over the kit's client.

Each user that is read or changed is cached under both keys, Telegram's id and rest_service's, with the change
counters from before the request. The entry is valid until the next announced change. When rest_service is
away then, the last known user is returned.
"""

from typing import Self

import redis.asyncio as aioredis

from service_kit.changes import ChangeAwareCache, ChangeCounters, Topic, Versions
from service_kit.contracts.bots import BotPut
from service_kit.contracts.users import UserCreate, UserRead, UserRole, UserUpdate
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.rest.endpoints import Call

MOST_KEYS = 20_000
"""Two for each user."""


class RestClient:
    """The calls to rest_service. They raise the kit's RestUnavailableError and RestError."""

    def __init__(self, client: AsyncRestClient, redis: aioredis.Redis) -> None:
        self._client = client
        self._changes = ChangeCounters(redis, Topic.USERS)
        self._cache: ChangeAwareCache[UserRead | None] = ChangeAwareCache(
            redis, Topic.USERS, max_entries=MOST_KEYS
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.aclose()

    async def set_current_bot(self, bot_id: int, username: str) -> None:
        """Make this bot the active one: rest_service then returns only its users."""
        await self._client.send(endpoints.set_current_bot(BotPut(id=bot_id, username=username[:64])))

    async def get_user(self, telegram_id: int) -> UserRead | None:
        """The user with that Telegram id; None for a stranger."""
        return await self._get(("telegram", telegram_id), endpoints.user_by_telegram_id(telegram_id))

    async def get_user_by_id(self, user_id: int) -> UserRead | None:
        """The user with that internal id, or None."""
        return await self._get(("id", user_id), endpoints.user(user_id))

    async def create_user(
        self,
        telegram_id: int,
        username: str | None = None,
        *,
        first_name: str | None = None,
        language: str | None = None,
        role: UserRole = UserRole.MEMBER,
    ) -> UserRead:
        """Create a user; raises ConflictError where the Telegram id is taken, or for a second owner."""
        new = UserCreate(
            telegram_id=telegram_id, username=username, first_name=first_name, language=language, role=role
        )
        return await self._send(endpoints.create_user(new))

    async def get_or_create_user(
        self,
        telegram_id: int,
        username: str | None = None,
        *,
        first_name: str | None = None,
        language: str | None = None,
    ) -> UserRead:
        """The user with that Telegram id; creates a member where there is none."""
        if user := await self.get_user(telegram_id):
            return user
        try:
            return await self.create_user(telegram_id, username, first_name=first_name, language=language)
        except ConflictError:  # another instance created it meanwhile, or our answer was lost
            return await self._send(endpoints.user_by_telegram_id(telegram_id))

    async def update_user(self, user: UserRead, change: UserUpdate) -> UserRead:
        """Change the fields that `change` sets."""
        return await self._send(endpoints.update_user(user.id, change))

    async def _get(self, key: tuple[str, int], call: Call[UserRead]) -> UserRead | None:
        seen = await self._changes.read()

        async def find() -> UserRead | None:
            try:
                user = await self._client.send(call)
            except NotFoundError:
                return None
            self._cache_user(user, seen)
            return user

        return await self._cache.get(key, find, versions=seen)

    async def _send(self, call: Call[UserRead]) -> UserRead:
        seen = await self._changes.read()
        user = await self._client.send(call)
        self._cache_user(user, seen)
        return user

    def _cache_user(self, user: UserRead, seen: Versions) -> None:
        self._cache.put(("telegram", user.telegram_id), user, seen)
        self._cache.put(("id", user.id), user, seen)
