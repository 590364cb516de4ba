"""A message that is delivered again makes no second job, counted in the real rest_service.

The process that serves it dies at a chosen request to rest_service or to the model. The next one has
nothing in common with it but Redis, and its model calls otherwise than the first did.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from fastapi import FastAPI

from assistant.src.core.model import ModelAnswer, ModelRequest, TextSink, ToolMessage
from assistant.tests.fakes import calls, said
from assistant.tests.integration.conftest import delivery_of, orchestrator_of
from rest_service.app.main import create_app
from rest_service.tests.support import SERVICE_KEY, Api, empty, make_settings, migrated_database, running
from service_kit.contracts.messages import IncomingMessage
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RedisSettings, RestClientSettings
from service_kit.testing.clock import FakeClock

pytestmark = pytest.mark.integration


class Death:
    """Ends the process at a moment; it has to be told which task that is."""

    def __init__(self, moment: str | None = None) -> None:
        self.moment = moment
        self.process: asyncio.Task[Any] | None = None

    def at(self, moment: str) -> None:
        """Die, if this is the moment."""
        if moment == self.moment and self.process is not None:
            self.process.cancel()
            raise asyncio.CancelledError


class Line(httpx2.ASGITransport):
    """The way to rest_service, on which the process may die before or after a change arrives."""

    def __init__(self, app: Any, death: Death) -> None:
        super().__init__(app=app)
        self.death = death

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        changes = request.method != "GET"
        if changes:
            self.death.at("before the change")
        # beyond this point the request is on its way, whatever becomes of the process
        response = await asyncio.shield(super().handle_async_request(request))
        if changes:
            self.death.at("after the change")
        return response


class MoodyModel:
    """Wants what the message asks for, but never in the same words, and the second time in more steps."""

    def __init__(self, mood: int, death: Death) -> None:
        self.mood = mood
        self.death = death

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        last = request.messages[-1]
        if isinstance(last, ToolMessage):
            self.death.at("after the result")
            return said(last.text)
        (number,) = [int(word) for word in last.text.split() if word.isdigit()] or [0]
        if number:
            return calls(("reminders", {"action": "cancel", "id": number}))
        wanted = [
            (
                "reminders",
                {"action": "create", "text": f"Tea, mood {self.mood}", "in_minutes": 10 + self.mood},
            )
        ]
        if self.mood > 1:
            wanted.insert(0, ("reminders", {"action": "list"}))
        return calls(*wanted)


@dataclass
class World:
    """rest_service, and processes that come and go."""

    api: Api
    redis: aioredis.Redis
    user: int
    moods: int = 0

    async def deliver(self, text: str, *, key: str = "tg:7", dies: str | None = None) -> str | None:
        """The answer of a new process; None where it died."""
        self.moods += 1
        death = Death(dies)
        settings = RestClientSettings(
            rest_service_url="http://rest_service:8000", service_api_key=SERVICE_KEY
        )
        message = IncomingMessage(id=key, user_id=self.user, chat_id=1, text=text)
        delivery = delivery_of(message.model_dump_json().encode(), attempt=self.moods - 1)
        async with AsyncRestClient(settings, transport=Line(self.api.app, death)) as client:
            orchestrator = orchestrator_of(MoodyModel(self.moods, death), client, self.redis)
            death.process = asyncio.ensure_future(orchestrator.handle(delivery))
            try:
                (reply,) = await death.process
            except asyncio.CancelledError:
                return None
        answer: str = reply.text
        return answer

    async def jobs(self) -> list[str]:
        """The texts of all jobs."""
        return [job["message"] for job in (await self.api.get("/api/cron-jobs")).json()]


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    with migrated_database(database_url, "redelivered") as url:
        yield url


@pytest.fixture(scope="module")
def _apps() -> dict[str, FastAPI]:
    return {}


@pytest.fixture
async def world(
    own_url: str, redis_settings: RedisSettings, redis_client: aioredis.Redis, _apps: dict[str, FastAPI]
) -> AsyncIterator[World]:
    empty(own_url)
    if not _apps:  # one for all tests, for making its routes takes longer than a test
        _apps["app"] = create_app(make_settings(own_url, redis_settings))
    async with running(_apps["app"], FakeClock()) as api:
        secretary = await api.an_assistant("Secretary", is_secretary=True)
        tool = await api.a_tool("reminders", tool_type="reminder")
        await api.a_link(secretary, tool)
        user = await api.a_user(timezone="Europe/Berlin")
        yield World(api, redis_client, user["id"])


MOMENTS = ["before the change", "after the change", "after the result"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_redelivered_message_makes_exactly_one_job(world: World, moment: str):
    assert await world.deliver("Remind me of tea", dies=moment) is None
    reply = await world.deliver("Remind me of tea")
    assert await world.jobs() == ["Tea, mood 1"]
    assert reply is not None
    assert "Tea, mood 1" in reply
    assert await world.deliver("Remind me of tea") == reply
    assert await world.jobs() == ["Tea, mood 1"]


async def test_it_may_die_again_and_again(world: World):
    for moment in sorted([*MOMENTS, *MOMENTS], key=MOMENTS.index):
        assert await world.deliver("Remind me of tea", dies=moment) is None
    await world.deliver("Remind me of tea")
    assert await world.jobs() == ["Tea, mood 1"]


async def test_another_message_makes_another_job(world: World):
    await world.deliver("Remind me of tea", key="tg:7")
    await world.deliver("Remind me of tea", key="tg:8")
    assert sorted(await world.jobs()) == ["Tea, mood 1", "Tea, mood 2"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_redelivered_cancelling_says_that_it_is_done(world: World, moment: str):
    user = (await world.api.get(f"/api/users/{world.user}")).json()
    job = await world.api.a_job(user, message="Vitamins")
    text = f"Cancel {job['id']}"
    assert await world.deliver(text, dies=moment) is None
    reply = await world.deliver(text)
    assert await world.jobs() == []
    assert reply is not None
    assert '"status":"cancelled"' in reply
