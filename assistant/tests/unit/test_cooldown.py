"""A provider that asks for a wait is left alone by all who use the same key there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.core.errors import ModelUnavailableError
from assistant.src.core.providers import cooldown
from assistant.src.core.providers.cooldown import LONGEST, PREFIX, AccountCooldown, account_of
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.tests.standin import Reply, StandIn, completion, error
from service_kit.redis import connect
from service_kit.testing.faulty_line import FaultyLine

BODY: dict[str, Any] = {"model": "m", "messages": []}
PATH = "/chat/completions"


@asynccontextmanager
async def provider_at(server: StandIn, shared: AccountCooldown | None = None) -> AsyncIterator[Provider]:
    provider = Provider("p", base_url=server.url, timeouts=Timeouts(2, 5, 5, 5), cooldown=shared)
    async with aclosing(provider):
        yield provider


def limited(**headers: str) -> Reply:
    return error(429, message="slow down", **headers)


async def refused(provider: Provider) -> ModelUnavailableError:
    with pytest.raises(ModelUnavailableError) as caught:
        await provider.request("POST", PATH, BODY)
    return caught.value


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_nobody_asks_before_the_wait_is_over_streams_included(status):
    server = StandIn(error(status, Retry_After="30"), completion("Hello"))
    async with server, provider_at(server) as provider:
        await refused(provider)
        again = await refused(provider)
        assert (again.status, len(server.requests)) == (429, 1)
        assert again.retry_after == pytest.approx(30, abs=5)
        with pytest.raises(ModelUnavailableError, match="asked to wait"):
            async with provider.stream(PATH, BODY):
                pytest.fail("the stream was opened")
        assert len(server.requests) == 1


async def test_it_is_asked_again_when_the_wait_is_over():
    server = StandIn(limited(Retry_After_Ms="150"), completion("Hello"))
    async with server, provider_at(server) as provider:
        wait = (await refused(provider)).retry_after
        assert wait == pytest.approx(0.15)
        await asyncio.sleep(wait or 0)
        assert await provider.request("POST", PATH, BODY)


async def test_a_failure_without_a_wait_holds_nobody_up():
    async with StandIn(error(503), completion("Hello")) as server, provider_at(server) as provider:
        await refused(provider)
        assert await provider.request("POST", PATH, BODY)


async def test_the_longer_of_two_waits_counts(redis_client):
    known, other = (AccountCooldown("a", redis_client) for _ in range(2))
    await known.begin(60)
    await known.begin(1)
    assert await known.seconds_left() > 50
    assert await other.seconds_left() > 50
    await known.begin(600)
    assert await AccountCooldown("a", redis_client).seconds_left() > 500


async def test_replicas_share_it_and_another_key_begins_anew(redis_client):
    account = account_of("http://host/v1", "sk-one")
    server = StandIn(limited(Retry_After="30"), completion("Hello"))
    async with (
        server,
        provider_at(server, AccountCooldown(account, redis_client)) as one,
        provider_at(server, AccountCooldown(account, redis_client)) as two,
        provider_at(server, AccountCooldown(account_of("http://host/v1", "sk-two"), redis_client)) as other,
    ):
        await refused(one)
        await refused(two)
        assert len(server.requests) == 1
        assert await other.request("POST", PATH, BODY)


async def test_it_ends_in_redis_by_itself_and_lasts_an_hour_at_most(redis_client):
    await AccountCooldown("a", redis_client).begin(1e6)
    left = await redis_client.pttl(f"{PREFIX}a")
    assert LONGEST - 60 < left / 1000 <= LONGEST


def test_an_account_tells_neither_address_nor_key():
    account = account_of("http://host/v1", "sk-secret")
    assert "host" not in account
    assert "secret" not in account
    assert account != account_of("http://host/v1", None)


async def test_without_redis_each_process_obeys_what_it_was_told(redis_settings, monkeypatch):
    monkeypatch.setattr(cooldown, "REDIS_TIMEOUT", 0.2)
    async with FaultyLine(redis_settings.redis_host, redis_settings.redis_port) as line:
        redis = connect(
            redis_settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": line.port})
        )
        await redis.ping()
        line.lose_answers()
        mine = AccountCooldown("a", redis)
        with capture_logs() as logs:
            async with asyncio.timeout(5):
                assert await mine.seconds_left() == 0
                await mine.begin(30)
                assert await mine.seconds_left() > 0
        await redis.aclose()
    assert [entry["event"] for entry in logs] == ["cooldown_not_read", "cooldown_not_shared"]
