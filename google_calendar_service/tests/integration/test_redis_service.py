import asyncio

import pytest

from google_calendar_service.src.schemas.auth import PendingConsent
from google_calendar_service.src.services.redis_service import STATE_TTL, RedisService

pytestmark = pytest.mark.integration

PENDING = PendingConsent(user_id=7, code_verifier="v" * 43)


async def test_a_consent_is_good_once(redis_client):
    service = RedisService(redis_client)
    await service.save_consent("state", PENDING)
    assert await service.take_consent("state") == PENDING
    assert await service.take_consent("state") is None


async def test_of_many_callbacks_at_once_one_wins(redis_client):
    service = RedisService(redis_client)
    await service.save_consent("state", PENDING)
    taken = await asyncio.gather(*(service.take_consent("state") for _ in range(20)))
    assert [found for found in taken if found] == [PENDING]


async def test_a_state_nobody_made_is_unknown(redis_client):
    assert await RedisService(redis_client).take_consent("guessed") is None


async def test_a_consent_is_forgotten_after_ten_minutes(redis_client):
    await RedisService(redis_client).save_consent("state", PENDING)
    (key,) = await redis_client.keys("*")
    assert STATE_TTL - 5 <= await redis_client.ttl(key) <= STATE_TTL == 600
