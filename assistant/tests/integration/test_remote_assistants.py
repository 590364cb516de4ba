"""Of two replicas that make one assistant at the provider, both use the first."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import pytest
import redis.asyncio as aioredis

from assistant.src.core.errors import ModelRefusedError
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Method, Provider
from assistant.src.core.thread_backend import Definition, Identity
from assistant.src.core.threads.remote_assistants import RemoteAssistants
from assistant.tests.standin import HttpStandIn, Reply, Request, error

pytestmark = pytest.mark.integration


class Assistants(HttpStandIn):
    """Makes assistants, and says how the deletion of one went."""

    def __init__(self, deletion: Reply) -> None:
        super().__init__()
        self.deletion = deletion
        self.deleted: list[str] = []
        self.change: Reply | None = None
        self.made = 0

    def respond(self, request: Request) -> Reply:
        if request.method == "DELETE":
            self.deleted.append(request.target.rpartition("/")[2])
            return self.deletion
        if not request.target.endswith("/assistants"):
            return self.change or Reply(b"{}")
        self.made += 1
        return Reply(json.dumps({"id": f"asst_{self.made}"}).encode())


def provider_at(server: Assistants) -> AbstractAsyncContextManager[Provider]:
    return aclosing(Provider("openai", base_url=f"{server.url}/v1", timeouts=Timeouts()))


class AtTheSameTime(Provider):
    """Asks for a new assistant when both replicas want one."""

    def __init__(self, url: str) -> None:
        super().__init__("openai", base_url=url, timeouts=Timeouts())
        self._both = asyncio.Barrier(2)

    async def request(self, method: Method, *args: Any, **options: Any) -> bytes:
        if method == "POST":
            await self._both.wait()
        return await super().request(method, *args, **options)


@pytest.mark.parametrize("deletion", [Reply(b"{}"), error(500)], ids=["deleted", "left"])
async def test_two_replicas_use_one(redis_client, deletion):
    identity, definition = Identity("a", "Jeeves"), Definition("m", "Be brief.")
    server = Assistants(deletion)
    async with server, aclosing(AtTheSameTime(f"{server.url}/v1")) as provider:
        replicas = [RemoteAssistants(redis_client), RemoteAssistants(redis_client)]
        ids = await asyncio.gather(*(each.ensure(provider, identity, definition) for each in replicas))
    assert ids[0] == ids[1]
    assert server.deleted == [f"asst_{3 - int(ids[0].removeprefix('asst_'))}"]


class LosingReplies(aioredis.Redis):
    """The reply to a write is lost, and the client sends it again, as it does."""

    async def evalsha(self, *args: Any) -> Any:
        await super().evalsha(*args)
        return await super().evalsha(*args)


async def test_what_was_just_made_is_not_deleted_when_the_reply_of_redis_is_lost(redis_client):
    identity, definition = Identity("a", "Jeeves"), Definition("m", "Be brief.")
    server = Assistants(Reply(b"{}"))
    redis = LosingReplies(connection_pool=redis_client.connection_pool)
    async with server, provider_at(server) as provider:
        made = await RemoteAssistants(redis).ensure(provider, identity, definition)
        again = await RemoteAssistants(redis_client).ensure(provider, identity, definition)
    assert (made, again, server.deleted) == ("asst_1", "asst_1", [])


async def test_a_refused_change_is_raised_and_nothing_is_made_instead(redis_client):
    identity = Identity("a", "Jeeves")
    server = Assistants(Reply(b"{}"))
    async with server, provider_at(server) as provider:
        remote = RemoteAssistants(redis_client)
        made = await remote.ensure(provider, identity, Definition("m", "Be brief."))
        server.change = error(400, message="no such model")
        with pytest.raises(ModelRefusedError, match="no such model"):
            await remote.ensure(provider, identity, Definition("nosuch", "Be brief."))
        assert await remote.find_id(provider, identity) == made
    assert server.made == 1


async def test_a_full_redis_takes_the_name_of_what_was_just_made(redis_with_limit):
    """Or each try of the message would make another one at the provider."""
    await redis_with_limit.fill()
    identity, definition = Identity("a", "Jeeves"), Definition("m", "Be brief.")
    server = Assistants(Reply(b"{}"))
    async with server, provider_at(server) as provider:
        remote = RemoteAssistants(redis_with_limit.client)
        ids = [await remote.ensure(provider, identity, definition) for _ in range(2)]
    assert ids == ["asst_1", "asst_1"]
