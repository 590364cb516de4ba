"""An `openai_api` assistant between the real rest_service, Redis, and a provider; for tests."""

from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import redis.asyncio as aioredis
from fastapi import FastAPI
from pydantic import SecretStr

from assistant.src.assistants.memory import Memories
from assistant.src.assistants.openai_assistant import OpenAIAssistant
from assistant.src.assistants.openai_services import OpenAIServices
from assistant.src.assistants.tool_loop import LoopLimits
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.src.services.discards import DiscardSweeper
from assistant.src.storage.conversation import ConversationStore
from assistant.src.storage.user_data import UserData
from assistant.src.tools.base import BaseTool
from assistant.tests.fakes import ScriptedBackend, context_of, openai_services
from rest_service.tests.support import SERVICE_KEY, Api
from service_kit.clock import SystemClock
from service_kit.contracts.assistants import AssistantRead
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings


def client_of(app: FastAPI, key: str = SERVICE_KEY) -> AsyncRestClient:
    settings = RestClientSettings(rest_service_url="http://rest_service:8000", service_api_key=SecretStr(key))
    return AsyncRestClient(settings, transport=httpx2.ASGITransport(app=app))


@dataclass
class World:
    """One assistant, as many replicas of it as wanted, and the far ends."""

    admin: Api
    client: AsyncRestClient
    redis: aioredis.Redis
    stack: AsyncExitStack
    url: str
    """Of the provider."""
    row: AssistantRead
    user: int
    protocol: OpenAIProtocol = OpenAIProtocol.CONVERSATIONS
    number: int = 0
    services: list[OpenAIServices] = field(default_factory=list)
    """Of each replica."""

    @property
    def store(self) -> ConversationStore:
        return ConversationStore(self.redis, retention_s=3600)

    async def assistant(
        self, *tools: BaseTool, fallback: ScriptedBackend | None = None, **settings: Any
    ) -> OpenAIAssistant:
        """The assistant as another process has it."""
        services = openai_services(
            self.redis,
            self.client,
            url=self.url,
            protocol=self.protocol,
            backends={"other": fallback} if fallback else None,
            clock=SystemClock(),
        )
        assert services.provider is not None
        await self.stack.enter_async_context(aclosing(services.provider))
        self.services.append(services)
        if fallback:
            settings["fallback_models"] = ["other/model"]
        row = self.row.model_copy(update={"settings": self.row.settings.model_copy(update=settings)})
        return OpenAIAssistant(
            row.openai_assistant_id,
            row.instructions,
            row.name,
            row.model,
            tool_instances=tools,
            key=str(row.id),
            services=services,
            memory=Memories(self.store).of(row, backend=services.stateless, tools=tools),
            limits=LoopLimits(),
            settings=row.settings,
        )

    async def say(self, assistant: OpenAIAssistant, text: str, *, key: str | None = None, **more: Any) -> str:
        self.number += 1
        context = replace(context_of(self.user, message_id=key or f"tg:{self.number}"), **more)
        return await assistant.process_message(text, self.user, context)

    def sweeper(self, replica: int = 0, **more: Any) -> DiscardSweeper:
        services = self.services[replica]
        data: list[UserData] = [self.store, services.threads]
        return DiscardSweeper(
            self.client, services.threads, data, delete_thread=services.delete_thread, **more
        )

    async def sweep(self, replica: int = 0) -> None:
        """What that replica's sweeper does every ten seconds."""
        await self.sweeper(replica).sweep()

    async def forget(self) -> None:
        """What `/new` does."""
        await self.store.forget(self.user)
        await self.services[0].threads.forget(self.user)

    async def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.admin.get("/api/user-threads")).json()
        return found

    async def discards(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.admin.get("/api/discards")).json()
        return found
