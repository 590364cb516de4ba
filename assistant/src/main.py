"""The composition root: `python -m assistant.src.main`."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import redis.asyncio as aioredis

from service_kit import lifecycle
from service_kit.clock import SystemClock
from service_kit.contracts.providers import ModelProviders
from service_kit.health import Health, HealthServer
from service_kit.logging import configure_logging, get_logger
from service_kit.queue.base import ConsumerOptions
from service_kit.queue.consumer import RedisConsumer
from service_kit.redis import connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import load

from .assistants.compaction import Compactor
from .assistants.factory import AssistantFactory, Limits
from .assistants.memory import Memories
from .assistants.openai_services import OpenAIServices, stateless_backends
from .config.settings import Settings
from .core import metrics
from .core.model import ModelBackend
from .core.providers.known import DEFAULT_PROVIDER
from .core.routing.retry import Retrying
from .core.routing.router import ModelCooldowns, ModelResolver, ModelRouter
from .core.routing.tool_mode_backend import chat_backend
from .core.threads.remote_assistants import RemoteAssistants
from .messages.trouble import Trouble
from .orchestrator import AssistantOrchestrator
from .services.discards import DiscardSweeper
from .services.providers import announce_providers, build_providers
from .services.rest_service import RestServiceClient
from .services.usage import UsageLog
from .services.weather import WeatherClient
from .storage.conversation import ConversationStore
from .storage.dead_letters import DeadLetters
from .storage.provider_threads import ProviderThreads
from .storage.user_data import UserData
from .tools.registry import ToolServices, announce_tool_types

SERVICE = "assistant"
HANDLER_GRACE = 60.0
"""Seconds that the queue's own limit lies above the message's: it is for what hangs elsewhere."""

ATTEMPTS = 3
"""Deliveries of a message that meets a bug of ours. Waiting for rest_service or Redis does not count."""
CRASHES = 25
"""Processes that may die with a message in hand. More than the kit's default: one that is killed every two
seconds hardly lives long enough for the model's answer, and its messages are not to blame."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The orchestrator, whose handler serves the queue, and what runs beside it."""

    orchestrator: AssistantOrchestrator
    compactor: Compactor
    usage: UsageLog
    trouble: Trouble
    sweeper: DiscardSweeper
    providers: ModelProviders


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Answer messages until `stop` is set and those at work are finished."""
    async with AsyncExitStack() as stack:
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        client = await stack.enter_async_context(AsyncRestClient(settings))
        rest = RestServiceClient(client)
        parts = _build_parts(settings, redis, client, stack)

        health = Health(SERVICE)
        health.add_check("redis", lambda: _ping(redis))
        health.add_check("rest_service", rest.check)
        health.add_note("answers", parts.trouble.look)
        # before the consumer: whoever started the process sees a port, and why it is not ready yet
        server = HealthServer(
            health,
            settings.http_host,
            settings.http_port,
            pages={metrics.PATH: metrics.render_page},
            allowed_hosts=settings.allowed_hosts,
        )
        stack.enter_context(server)
        consumer = _build_consumer(settings, parts.orchestrator, health)
        log.info("started", port=server.port, queue=settings.input_queue, slot=settings.service_slot)
        async with asyncio.TaskGroup() as group:
            chores = [
                group.create_task(chore) for chore in (health.watch(), parts.usage.run(), parts.sweeper.run())
            ]
            # before the first message, so that rest_service knows them as early as it can be asked
            await announce_tool_types(redis)
            await announce_providers(redis, parts.providers)
            await parts.orchestrator.initialize()
            await consumer.run(stop)
            # in this order: messages start compactions, and both record usage
            await parts.compactor.drain()
            await lifecycle.end_tasks(chores)
        await parts.usage.drain()
    log.info("stopped")


def _build_parts(
    settings: Settings, redis: aioredis.Redis, client: AsyncRestClient, stack: AsyncExitStack
) -> _Parts:
    rest, clock = RestServiceClient(client), SystemClock()
    backend, openai = _build_models(settings, redis, client, stack)
    usage = UsageLog(redis, rest, clock)
    trouble = Trouble(redis, rest)
    conversations = ConversationStore(redis, retention_s=settings.history_retention_days * 86_400)
    compactor = Compactor(conversations, usage.record)
    user_data: list[UserData] = [conversations, openai.threads]
    factory = AssistantFactory(
        backend=backend,
        openai=openai,
        memories=Memories(
            conversations,
            history_tokens=settings.history_tokens,
            context_tokens=openai.resolver.context_tokens,
            compactor=compactor,
        ),
        limits=_read_limits(settings),
        services=_build_tool_services(settings, client, stack),
    )
    orchestrator = AssistantOrchestrator(
        rest=rest,
        factory=factory,
        user_data=user_data,
        usage=usage,
        trouble=trouble,
        redis=redis,
        clock=clock,
        message_timeout=settings.message_timeout,
        stream_replies=settings.stream_replies,
    )
    letters = DeadLetters(redis, [settings.input_queue, settings.assistant_output_queue])
    sweeper = DiscardSweeper(
        client, openai.threads, [*user_data, letters], delete_thread=openai.delete_thread
    )
    return _Parts(orchestrator, compactor, usage, trouble, sweeper, openai.resolver.providers)


def _build_consumer(settings: Settings, orchestrator: AssistantOrchestrator, health: Health) -> RedisConsumer:
    options = ConsumerOptions(
        queue=settings.input_queue,
        out_queue=settings.assistant_output_queue,
        slot=settings.service_slot,
        concurrency=settings.assistant_concurrency,
        handler_timeout=settings.message_timeout + HANDLER_GRACE,
        drain_timeout=settings.drain_timeout,
        max_attempts=ATTEMPTS,
        longest_wait=settings.message_longest_wait,
        max_crashes=CRASHES,
    )
    return RedisConsumer(
        settings,
        options,
        orchestrator.handle,
        failure_notice=orchestrator.failure_notice,
        health=health,
    )


def _build_models(
    settings: Settings, redis: aioredis.Redis, rest: AsyncRestClient, stack: AsyncExitStack
) -> tuple[ModelBackend, OpenAIServices]:
    """What answers `llm` assistants, and what answers `openai_api` ones."""
    providers = build_providers(settings, redis)
    # closed after the consumer has ended, before Redis: the stack closes in reverse
    stack.push_async_callback(providers.aclose)
    retrying = Retrying(settings.model_attempts)
    chat = {
        name: chat_backend(provider, providers.quirks[name]) for name, provider in providers.usable.items()
    }

    def build_resolver(backends: Mapping[str, ModelBackend]) -> ModelResolver:
        return ModelResolver(
            backends,
            default_provider=DEFAULT_PROVIDER,
            default_model=settings.openai_default_model,
            lacking=providers.lacking,
            window_of=providers.window_of,
        )

    cooldowns = ModelCooldowns()
    protocol, provider = settings.openai_api_protocol, providers.usable.get(DEFAULT_PROVIDER)
    strict = DEFAULT_PROVIDER in providers.quirks and providers.quirks[DEFAULT_PROVIDER].strict_tools
    stateless_resolver = build_resolver(stateless_backends(chat, protocol, provider, strict=strict))
    openai = OpenAIServices(
        protocol=protocol,
        provider=provider,
        resolver=stateless_resolver,
        stateless=ModelRouter(stateless_resolver, retrying, cooldowns),
        threads=ProviderThreads(
            redis, rest, clock=SystemClock(), retention_s=settings.history_retention_days * 86_400
        ),
        remote=RemoteAssistants(redis),
        retrying=retrying,
        run_timeout=settings.openai_timeout,
        cooldowns=cooldowns,
        strict=strict,
    )
    return ModelRouter(build_resolver(chat), retrying, cooldowns), openai


def _build_tool_services(settings: Settings, rest: AsyncRestClient, stack: AsyncExitStack) -> ToolServices:
    weather = WeatherClient(
        forecast_url=settings.weather_api_url, geocoding_url=settings.weather_geocoding_url
    )
    stack.push_async_callback(weather.aclose)
    return ToolServices(rest=rest, weather=weather)


def _read_limits(settings: Settings) -> Limits:
    return Limits(
        tool_rounds=settings.max_tool_rounds,
        tool_timeout=settings.tool_timeout,
        tool_output_chars=settings.tool_output_limit,
        depth=settings.max_assistant_depth,
    )


async def _ping(redis: aioredis.Redis) -> None:
    await redis.ping()


def main() -> None:
    """Run the service."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    lifecycle.run(lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
