"""The whole service in one process, without the queue: real Redis, stand-ins outside."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import redis.asyncio as aioredis

from assistant.src.assistants.factory import AssistantFactory, Limits
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.openai_services import OpenAIServices
from assistant.src.core.model import ModelBackend
from assistant.src.messages.trouble import Trouble
from assistant.src.orchestrator import AssistantOrchestrator
from assistant.src.services.rest_service import RestServiceClient
from assistant.src.services.usage import UsageLog
from assistant.src.storage.conversation import ConversationStore
from assistant.tests.fakes import openai_services, tool_services
from assistant.tests.standin import RestStandIn
from service_kit.contracts.messages import IncomingMessage, IncomingType, OutgoingMessage
from service_kit.queue.base import Delivery
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings
from service_kit.testing.clock import FakeClock


@dataclass(slots=True)
class Service:
    """An orchestrator and what stands around it."""

    orchestrator: AssistantOrchestrator
    rest: RestStandIn
    number: int = 0
    told: list[OutgoingMessage] = field(default_factory=list)
    """What was said besides the replies."""

    async def say(
        self, text: str, *, user: int = 1, message_id: str | None = None, kind: str = "message"
    ) -> OutgoingMessage:
        """What comes back for one message."""
        self.number += 1
        message = IncomingMessage(
            id=message_id or f"tg:{self.number}",
            type=IncomingType(kind),
            user_id=user,
            chat_id=100 + user,
            text=text,
        )
        raw = message.model_dump_json().encode()
        reply, *told = await self.orchestrator.handle(delivery_of(raw))
        self.told += told
        return reply


def delivery_of(raw: bytes, attempt: int = 0) -> Delivery:
    return Delivery(raw=raw, id="", group="1", attempt=attempt)


def orchestrator_of(
    backend: ModelBackend,
    client: AsyncRestClient,
    redis: aioredis.Redis,
    *,
    message_timeout: float = 10.0,
    stream_replies: bool = False,
    openai: OpenAIServices | None = None,
) -> AssistantOrchestrator:
    conversations = ConversationStore(redis, retention_s=3600)
    rest = RestServiceClient(client)
    return AssistantOrchestrator(
        rest=rest,
        factory=AssistantFactory(
            backend=backend,
            openai=openai or openai_services(redis, client),
            memories=Memories(conversations),
            limits=Limits(),
            services=tool_services(client),
        ),
        user_data=[conversations, openai.threads] if openai else [conversations],
        usage=UsageLog(redis, rest, FakeClock()),
        trouble=Trouble(redis, rest),
        redis=redis,
        clock=FakeClock(),
        message_timeout=message_timeout,
        stream_replies=stream_replies,
    )


MakeService = Callable[..., Awaitable[Service]]


@pytest.fixture
async def make_service(redis_client: aioredis.Redis) -> AsyncIterator[MakeService]:
    async with AsyncExitStack() as stack:

        async def make(
            backend: ModelBackend,
            rest: RestStandIn,
            *,
            message_timeout: float = 10.0,
            stream_replies: bool = False,
        ) -> Service:
            await stack.enter_async_context(rest)
            settings = RestClientSettings(rest_service_url=rest.url, service_api_key="key")
            client = await stack.enter_async_context(AsyncRestClient(settings))
            orchestrator = orchestrator_of(
                backend,
                client,
                redis_client,
                message_timeout=message_timeout,
                stream_replies=stream_replies,
            )
            return Service(orchestrator, rest)

        yield make
