"""tg_bot: Telegram in and out. The composition root."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import redis.asyncio as aioredis

from service_kit import lifecycle
from service_kit.health import Health, HealthServer
from service_kit.lifecycle import end_tasks
from service_kit.logging import configure_logging, get_logger
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import load

from .client.rest import RestClient
from .client.telegram import TelegramClient
from .config.settings import Settings
from .handlers.base import Bot
from .handlers.update import handle_telegram_update, process_message
from .services.identity import Identity, introduce_bot
from .services.intake import Intake
from .services.lanes import Lanes
from .services.lease import PollLease
from .services.poller import Poller, PollOptions
from .services.rate_limiter import RateLimiter
from .services.reply_sender import ReplySender
from .services.response_handler import ResponseHandler, consumer_options, handle_assistant_responses
from .services.throttle import Throttle
from .services.typing_indicator import TypingIndicator
from .services.user_changes import UserChanges

__all__ = ["handle_telegram_update", "main", "process_message"]

SERVICE = "tg_bot"

log = get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Poll, answer, and show that an answer is coming, until `stop` is set."""
    async with AsyncExitStack() as stack:
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        telegram = await stack.enter_async_context(
            TelegramClient(settings.telegram_token, settings.telegram_api_url)
        )
        rest = await stack.enter_async_context(RestClient(AsyncRestClient(settings), redis))
        health = Health(SERVICE)
        identity = Identity()
        changes = UserChanges(identity, rest, redis)
        bot = _bot(settings, redis, identity, rest, changes)
        find_settled = partial(bot.producer.find_settled, settings.input_queue)
        typing = TypingIndicator(telegram, find_settled, limit=settings.telegram_typing_limit)
        poller = _poller(settings, redis, telegram, bot, typing)
        consumer = RedisConsumer(
            settings,
            consumer_options(
                settings.assistant_output_queue, settings.service_slot, drain_timeout=settings.drain_timeout
            ),
            ResponseHandler(identity, _sender(settings, redis, telegram), rest, changes, typing),
            health=health,
        )
        health.add_check("redis", partial(_ping, redis))
        health.add_check("telegram", poller.check)
        server = stack.enter_context(
            HealthServer(health, settings.http_host, settings.http_port, allowed_hosts=settings.allowed_hosts)
        )
        log.info("started", port=server.port, slot=settings.service_slot)
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(work) for work in (health.watch(), typing.run(), changes.run())]
            answering = tasks.create_task(_answer(identity, consumer, stop))
            polling = tasks.create_task(poller.run())
            await stop.wait()
            await end_tasks([polling])  # what is not stored yet comes again from Telegram
            if not identity.is_known:
                answering.cancel()
            await asyncio.wait({answering})
            await end_tasks(background)
    log.info("stopped")


async def _answer(identity: Identity, consumer: RedisConsumer, stop: asyncio.Event) -> None:
    """Send nothing before it is known whose chats they are."""
    await identity.wait_until_known()
    await handle_assistant_responses(consumer, stop)


def _bot(
    settings: Settings, redis: aioredis.Redis, identity: Identity, rest: RestClient, changes: UserChanges
) -> Bot:
    return Bot(
        identity=identity,
        rest=rest,
        changes=changes,
        throttle=Throttle(redis, identity),
        producer=RedisProducer(redis),
        input_queue=settings.input_queue,
        input_queue_limit=settings.input_queue_limit,
        owner_code=settings.owner_code,
        open_access=settings.telegram_open_access,
    )


def _poller(
    settings: Settings,
    redis: aioredis.Redis,
    telegram: TelegramClient,
    bot: Bot,
    typing: TypingIndicator,
) -> Poller:
    intake = Intake(
        bot.producer,
        typing,
        Lanes(partial(handle_telegram_update, bot), bot.identity),
        input_queue=settings.input_queue,
        output_queue=settings.assistant_output_queue,
    )
    options = PollOptions(
        input_queue=settings.input_queue,
        input_queue_limit=settings.input_queue_limit,
        poll_timeout=settings.telegram_poll_timeout,
    )
    return Poller(
        telegram,
        bot.producer,
        PollLease(redis, settings.service_slot),
        intake,
        redis=redis,
        options=options,
        on_start=partial(introduce_bot, bot.identity, telegram, bot.rest),
    )


def _sender(settings: Settings, redis: aioredis.Redis, telegram: TelegramClient) -> ReplySender:
    limiter = RateLimiter(settings.telegram_rate_limit, settings.telegram_chat_rate_limit)
    return ReplySender(telegram, limiter, redis)


async def _ping(redis: aioredis.Redis) -> None:
    await redis.ping()


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
