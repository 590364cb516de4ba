"""Users, from rest_service: a thin facade over the kit's client, with a cache that changes drop."""

from typing import Self

import redis.asyncio as aioredis

from service_kit.changes import ChangeAwareCache, Topic
from service_kit.contracts.users import UserCreate, UserRead, UserRole, UserUpdate
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient
from service_kit.rest.endpoints import Call


class RestClient:
    """What the bot asks rest_service. Raises the kit's RestUnavailableError and RestError."""

    def __init__(self, client: AsyncRestClient, redis: aioredis.Redis) -> None:
        self._client = client
        self._cache: ChangeAwareCache[UserRead | None] = ChangeAwareCache(redis, Topic.USERS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.aclose()

    async def get_user(self, telegram_id: int) -> UserRead | None:
        """The user with that Telegram id; None for a stranger."""
        call = endpoints.user_by_telegram_id(telegram_id)
        return await self._cache.get(("telegram", telegram_id), lambda: self._find(call))

    async def get_user_by_id(self, user_id: int) -> UserRead | None:
        """The user with that internal id, or None."""
        return await self._cache.get(("id", user_id), lambda: self._find(endpoints.user(user_id)))

    async def create_user(
        self,
        telegram_id: int,
        username: str | None = None,
        *,
        first_name: str | None = None,
        language: str | None = None,
        role: UserRole = UserRole.MEMBER,
    ) -> UserRead:
        """A new user; ConflictError where the Telegram id is taken, or a second owner is asked for."""
        new = UserCreate(
            telegram_id=telegram_id, username=username, first_name=first_name, language=language, role=role
        )
        user = await self._client.send(endpoints.create_user(new))
        self._cache.drop(("telegram", telegram_id))  # rest_service announces it; Redis may not have heard
        return user

    async def get_or_create_user(
        self,
        telegram_id: int,
        username: str | None = None,
        *,
        first_name: str | None = None,
        language: str | None = None,
    ) -> UserRead:
        """The user with that Telegram id, made a member where there is none."""
        if user := await self.get_user(telegram_id):
            return user
        try:
            return await self.create_user(telegram_id, username, first_name=first_name, language=language)
        except ConflictError:  # another instance, or an answer that was lost, made it meanwhile
            return await self._client.send(endpoints.user_by_telegram_id(telegram_id))

    async def update_user(self, user: UserRead, change: UserUpdate) -> UserRead:
        """Change the fields that `change` sets.

        What is known of the user stays until the next look: it serves when rest_service is away then.
        """
        return await self._client.send(endpoints.update_user(user.id, change))

    async def _find(self, call: Call[UserRead]) -> UserRead | None:
        try:
            return await self._client.send(call)
        except NotFoundError:
            return None
