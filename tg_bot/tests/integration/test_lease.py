"""The lease for polling, with real Redis."""

import asyncio

import pytest
from redis.exceptions import RedisError

from service_kit.lifecycle import end_tasks
from tg_bot.src.services import lease as lease_module
from tg_bot.src.services.lease import PollLease
from tg_bot.tests.standin import until

pytestmark = pytest.mark.integration


async def test_a_restarted_process_takes_its_predecessors_lease_at_once(redis_client):
    await redis_client.set("tg:poller:1", "a~dead-life", px=60_000)
    began = asyncio.Event()

    async def work():
        began.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(PollLease(redis_client, "a").hold("1", work))
    async with asyncio.timeout(5):
        await began.wait()
    await end_tasks([task])
    assert await redis_client.get("tg:poller:1") is None


async def test_who_loses_the_lease_stops_polling(redis_client, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.02)
    cancelled = asyncio.Event()

    async def work():
        await redis_client.set("tg:poller:1", "b~somebody")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(lease_module.LeaseLostError):
        await PollLease(redis_client, "a").hold("1", work)
    assert cancelled.is_set()
    assert await redis_client.get("tg:poller:1") == b"b~somebody"


async def poll_for_ever():
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("trouble", ["refused", "hanging"])
async def test_a_lease_that_cannot_be_renewed_runs_out(redis_client, monkeypatch, trouble):
    monkeypatch.setattr(lease_module, "TTL", 0.2)
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.05)

    async def renew(**_arguments):
        if trouble == "hanging":
            await asyncio.Event().wait()
        raise RedisError("away")

    lease = PollLease(redis_client, "a")
    monkeypatch.setattr(lease, "_renew_script", renew)
    async with asyncio.timeout(10):
        with pytest.raises(lease_module.LeaseLostError, match="in time"):
            await lease.hold("1", poll_for_ever)


async def test_two_living_processes_of_one_slot_do_not_take_it_from_each_other(redis_client, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.02)
    monkeypatch.setattr(lease_module, "STANDBY_EVERY", 0.01)
    first, second = PollLease(redis_client, "a"), PollLease(redis_client, "a")
    losing = asyncio.ensure_future(first.hold("1", poll_for_ever))
    await until(lambda: _holds(redis_client, first))
    keeping = asyncio.ensure_future(second.hold("1", poll_for_ever))
    with pytest.raises(lease_module.LeaseLostError):
        await losing
    assert await _holds(redis_client, second)
    tries, original = 0, first._acquire_script

    async def counted(**arguments):
        nonlocal tries
        tries += 1
        return await original(**arguments)

    monkeypatch.setattr(first, "_acquire_script", counted)
    waiting = asyncio.ensure_future(first.hold("1", poll_for_ever))
    await until(lambda: tries >= 5)
    assert await _holds(redis_client, second)
    assert not keeping.done()
    await end_tasks([waiting, keeping])


async def _holds(redis, lease):
    return await redis.get("tg:poller:1") == lease._me.encode()
