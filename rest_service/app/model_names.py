"""Warns of models without a usable provider. The assistant service writes its providers into Redis.

A row with such a model is stored, because the provider may be set up later; the answer has a warning. Before
an assistant service has started, and while Redis is away, there are no warnings.
"""

import asyncio
from collections.abc import Iterable

import redis.asyncio as aioredis
from pydantic import ValidationError
from redis.exceptions import RedisError

from service_kit.contracts.assistants import AssistantCreate, AssistantRead, AssistantSaved
from service_kit.contracts.providers import MODEL_PROVIDERS_KEY, ModelProviders
from service_kit.logging import get_logger

log = get_logger(__name__)

TIMEOUT = 2.0
"""Seconds to wait for Redis."""


class ModelNames:
    """See the module; `redis` should not retry by itself."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis

    async def add_warnings(self, row: AssistantRead) -> AssistantSaved:
        """The row with the warnings about its models."""
        return AssistantSaved(**dict(row), warnings=await self.warnings([row]))

    async def warnings(self, assistants: Iterable[AssistantRead | AssistantCreate]) -> list[str]:
        """A sentence for each of their models without a usable provider, sorted."""
        providers = await self._providers()
        # no assistant service has started yet, or Redis is away
        if providers is None:
            return []
        found = {
            f"Assistant {one.name!r}: {complaint}."
            for one in assistants
            for name in (one.model, *one.settings.fallback_models)
            if (complaint := providers.complaint(name)) is not None
        }
        return sorted(found)

    async def _providers(self) -> ModelProviders | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                announced = await self._redis.get(MODEL_PROVIDERS_KEY)
            return None if announced is None else ModelProviders.model_validate_json(announced)
        except (RedisError, OSError, TimeoutError, ValidationError) as exc:
            log.warning("model_providers_read_failed", reason=type(exc).__name__)
            return None
