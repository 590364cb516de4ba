"""Stores pending consents in Redis.

A state is random, lives ten minutes, is bound to one user, and works once (GETDEL). So an old
or invented callback address links nothing.
"""

import asyncio
import secrets

import redis.asyncio as aioredis

from ..schemas.auth import PendingConsent

STATE_TTL = 600
"""Seconds a user has for Google's pages."""
REDIS_TIMEOUT = 5.0


class RedisService:
    """Pending consents, under their state."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis

    @staticmethod
    def new_state() -> str:
        """256 random bits, safe in a URL."""
        return secrets.token_urlsafe(32)

    async def save_consent(self, state: str, pending: PendingConsent) -> None:
        """Remember what the callback with `state` will need."""
        async with asyncio.timeout(REDIS_TIMEOUT):
            await self._redis.set(self._key(state), pending.model_dump_json(), ex=STATE_TTL)

    async def take_consent(self, state: str) -> PendingConsent | None:
        """The consent under `state`, and delete it; None where it is unknown, used or too old."""
        async with asyncio.timeout(REDIS_TIMEOUT):
            # GETDELs of two callbacks at once: one of them gets the consent
            found = await self._redis.getdel(self._key(state))
        return None if found is None else PendingConsent.model_validate_json(found)

    async def ping(self) -> None:
        """Raises where Redis does not answer."""
        await self._redis.ping()

    @staticmethod
    def _key(state: str) -> str:
        return f"google:consent:{state}"
