"""A new thread that nobody will use does not stay at the provider."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio as aioredis
from pydantic import SecretStr

from assistant.src.core import thread_backend as threads
from assistant.src.core.errors import ModelUnavailableError
from assistant.src.core.thread_backend import delete_unless_complete
from assistant.src.storage.provider_threads import ProviderThreads
from assistant.tests.standin import HttpStandIn, Reply, Request
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings
from service_kit.testing.clock import FakeClock


class SlowRest(HttpStandIn):
    """Knows no threads, and never says whether it has taken one."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def respond(self, request: Request) -> Reply:
        if request.method == "GET":
            return Reply(b"[]")
        self.told.set()
        return Reply(hang=True)


async def test_a_cancelled_entry_leaves_no_thread_behind():
    deleted: list[str] = []

    async def create() -> str:
        return "conv_1"

    async def delete(thread_id: str) -> None:
        deleted.append(thread_id)

    async with SlowRest() as server:
        settings = RestClientSettings(rest_service_url=server.url, service_api_key=SecretStr("key"))
        async with AsyncRestClient(settings) as rest, aioredis.Redis() as redis:
            entered = ProviderThreads(redis, rest, clock=FakeClock(), retention_s=60).create(
                1, str(uuid4()), create=create, delete=delete
            )
            task = asyncio.create_task(entered)
            await server.told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert deleted == ["conv_1"]


@pytest.mark.parametrize("failure", [ModelUnavailableError("away"), asyncio.CancelledError()], ids=repr)
async def test_a_thread_that_cannot_be_filled_is_deleted(failure):
    deleted: list[str] = []

    async def delete(thread_id: str) -> None:
        deleted.append(thread_id)

    with pytest.raises(type(failure)):
        async with delete_unless_complete("thread_1", delete):
            raise failure
    assert deleted == ["thread_1"]


async def test_a_provider_that_hangs_does_not_hold_up_who_cancelled(monkeypatch):
    monkeypatch.setattr(threads, "DROP_TIMEOUT", 0.05)

    async def delete(_thread_id: str) -> Any:
        await asyncio.Event().wait()

    inside = asyncio.Event()

    async def filled() -> None:
        async with delete_unless_complete("thread_1", delete):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(filled())
    await inside.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()
