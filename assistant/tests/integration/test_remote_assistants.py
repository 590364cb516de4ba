"""Of two replicas that make one assistant at the provider, both use the first."""

import asyncio
import json
from contextlib import aclosing
from itertools import count
from typing import Any

import pytest

from assistant.src.core.event_stream import Timeouts
from assistant.src.core.provider import Method, Provider
from assistant.src.core.remote_assistants import RemoteAssistants
from assistant.src.core.threads import Definition, Identity
from assistant.tests.standin import HttpStandIn, Reply, Request, error

pytestmark = pytest.mark.integration


class Assistants(HttpStandIn):
    """Makes assistants, and says how the deletion of one went."""

    def __init__(self, deletion: Reply) -> None:
        super().__init__()
        self.deletion = deletion
        self.deleted: list[str] = []
        self._numbers = count(1)

    def respond(self, request: Request) -> Reply:
        if request.method == "DELETE":
            self.deleted.append(request.target.rpartition("/")[2])
            return self.deletion
        return Reply(json.dumps({"id": f"asst_{next(self._numbers)}"}).encode())


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
        ids = await asyncio.gather(*(each.id_of(provider, identity, definition) for each in replicas))
    assert ids[0] == ids[1]
    assert server.deleted == [f"asst_{3 - int(ids[0].removeprefix('asst_'))}"]
