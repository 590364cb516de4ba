"""Fakes of the service's own interfaces and builders of rows."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import redis.asyncio as aioredis
from pydantic import SecretStr

from assistant.src.assistants.openai_services import OpenAIServices, stateless_backends
from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.model import ModelAnswer, ModelBackend, ModelRequest, TextSink, ToolCall, Usage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.routing.retry import Retrying
from assistant.src.core.routing.router import ModelResolver, ModelRouter
from assistant.src.core.run_context import RunContext, UserProfile
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.src.core.threads.remote_assistants import RemoteAssistants
from assistant.src.services.weather import WeatherClient
from assistant.src.storage.provider_threads import ProviderThreads
from assistant.src.tools.base import Arguments, BaseTool
from assistant.src.tools.registry import ToolServices
from service_kit.clock import Clock
from service_kit.contracts.assistants import AssistantRead, AssistantToolRead, AssistantTree, ModelSettings
from service_kit.contracts.tools import ToolRead
from service_kit.contracts.users import UserRead, UserRole
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings
from service_kit.testing.clock import FakeClock

_NOBODY = RestClientSettings(rest_service_url="http://127.0.0.1:1", service_api_key=SecretStr("key"))
THEN = datetime(2026, 1, 1, tzinfo=UTC)

Step = ModelAnswer | Exception | Callable[[ModelRequest], ModelAnswer | Awaitable[ModelAnswer]]


def said(text: str) -> ModelAnswer:
    """The model answers."""
    return ModelAnswer(text=text, tool_calls=(), usage=Usage(10, 5), model="scripted")


def calls(*wanted: tuple[str, Any], text: str = "") -> ModelAnswer:
    """The model calls tools: (name, arguments)."""
    made = tuple(
        ToolCall(
            id=f"call_{uuid4().hex[:8]}",
            name=name,
            arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
        )
        for name, arguments in wanted
    )
    return ModelAnswer(text=text, tool_calls=made, usage=Usage(10, 5), model="scripted")


class ScriptedBackend:
    """Implements `ModelBackend`: plays its steps, then repeats the last one; keeps the requests."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        step = self.steps[min(len(self.requests), len(self.steps) - 1)]
        self.requests.append(request)
        if isinstance(step, Exception):
            raise step
        if not isinstance(step, ModelAnswer):
            made = step(request)
            step = made if isinstance(made, ModelAnswer) else await made
        if on_text is not None and step.text:
            on_text(step.text)
        return step


class FunctionTool(BaseTool):
    """A tool that does what a function does, and keeps the contexts it was called in."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        properties: dict[str, Any] | None = None,
        required: tuple[str, ...] = (),
        timeout: float | None = 5.0,
    ) -> None:
        schema = {"type": "object", "properties": properties or {}, "required": list(required)}
        super().__init__(name=name, description=f"{name} tool", schema=schema, timeout=timeout)
        self.function = function
        self.contexts: list[RunContext] = []

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        self.contexts.append(context)
        result = self.function(**arguments)
        return str(await result if asyncio.iscoroutine(result) else result)


def context_of(
    user_id: int = 1, *, message_id: str = "tg:1", seconds: float = 60.0, **user: Any
) -> RunContext:
    """A run's context; needs a running event loop."""
    now = asyncio.get_running_loop().time()
    return RunContext(
        user=UserProfile(user_id, **user),
        message_id=message_id,
        deadline=now + seconds,
        tools_until=now + seconds,
        clock=FakeClock(),
    )


def tool_services(
    rest: AsyncRestClient | None = None, *, weather_url: str = "http://127.0.0.1:1"
) -> ToolServices:
    """What tools may use; without arguments nobody answers."""
    return ToolServices(
        rest=rest or AsyncRestClient(_NOBODY),
        weather=WeatherClient(forecast_url=weather_url, geocoding_url=weather_url),
    )


def openai_services(
    redis: aioredis.Redis | None = None,
    rest: AsyncRestClient | None = None,
    *,
    url: str = "http://127.0.0.1:1/v1",
    protocol: OpenAIProtocol = OpenAIProtocol.CONVERSATIONS,
    backends: Mapping[str, ModelBackend] | None = None,
    clock: Clock | None = None,
) -> OpenAIServices:
    """What `openai_api` assistants share, with the provider at `url`; without arguments nobody answers."""
    provider = Provider("openai", base_url=url, timeouts=Timeouts(connect=2, stall=2, whole=5))
    retrying = Retrying(3, backoff=lambda _attempt: 0.0)
    answering = ModelResolver(
        stateless_backends(
            {"openai": ChatCompletionsBackend(provider), **(backends or {})}, protocol, provider, strict=True
        ),
        default_provider="openai",
        default_model="standin-1",
    )
    store = redis or aioredis.Redis()
    return OpenAIServices(
        protocol=protocol,
        provider=provider,
        resolver=answering,
        stateless=ModelRouter(answering, retrying),
        threads=ProviderThreads(
            store, rest or AsyncRestClient(_NOBODY), clock=clock or FakeClock(), retention_s=3600
        ),
        remote=RemoteAssistants(store),
        retrying=retrying,
        run_timeout=5.0,
    )


def user_row(user_id: int = 1, **fields: Any) -> UserRead:
    values: dict[str, Any] = {
        "id": user_id,
        "telegram_id": 1000 + user_id,
        "first_name": "Ada",
        "language": "en",
        "timezone": "Europe/Berlin",
        "role": UserRole.MEMBER,
        "is_active": True,
        "created_at": THEN,
        "updated_at": THEN,
    }
    return UserRead(**(values | fields))


def assistant_row(name: str = "Secretary", **fields: Any) -> AssistantRead:
    values: dict[str, Any] = {
        "id": uuid4(),
        "name": name,
        "is_secretary": False,
        "model": "default",
        "instructions": f"You are {name}.",
        "assistant_type": "llm",
        "settings": ModelSettings(),
        "is_active": True,
        "created_at": THEN,
        "updated_at": THEN,
    }
    return AssistantRead(**(values | fields))


def tool_row(name: str = "current_time", tool_type: str = "time", **fields: Any) -> ToolRead:
    values: dict[str, Any] = {
        "id": uuid4(),
        "name": name,
        "tool_type": tool_type,
        "description": f"{name} does it.",
        "is_active": True,
        "created_at": THEN,
        "updated_at": THEN,
    }
    return ToolRead(**(values | fields))


def link_row(assistant_id: UUID, tool_id: UUID, **fields: Any) -> AssistantToolRead:
    values: dict[str, Any] = {
        "id": uuid4(),
        "assistant_id": assistant_id,
        "tool_id": tool_id,
        "is_active": True,
        "created_at": THEN,
        "updated_at": THEN,
    }
    return AssistantToolRead(**(values | fields))


def tree_of(
    root: AssistantRead, *others: AssistantRead, tools: dict[UUID, list[ToolRead]] | None = None
) -> AssistantTree:
    """A tree; `tools` maps assistant ids to the tools they are linked to."""
    linked = tools or {}
    rows = {row.id: row for some in linked.values() for row in some}
    links = [link_row(owner, row.id) for owner, some in linked.items() for row in some]
    return AssistantTree(root_id=root.id, assistants=[root, *others], tools=list(rows.values()), links=links)
