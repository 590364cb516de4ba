"""tg_bot: Telegram in and out. The composition root, and the way of an update to its handler."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import redis.asyncio as aioredis

from service_kit import lifecycle
from service_kit.contracts.messages import MAX_INCOMING_TEXT, IncomingMessage
from service_kit.contracts.users import UserRead, UserRole
from service_kit.health import Health, HealthServer
from service_kit.lifecycle import end_tasks
from service_kit.logging import configure_logging, get_logger
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import load

from .client.errors import TelegramError
from .client.models import BotIdentity, ChatType, Message, Update
from .client.rest import RestClient
from .client.telegram import TelegramClient
from .config.settings import Settings
from .handlers.base import Bot, Outcome, Question
from .handlers.commands import handle_command, parse_command
from .handlers.people import get_or_create, keep_in_step
from .handlers.start import handle_start, refuse
from .handlers.update import handle_group, handle_membership, ignore_edit
from .services.identity import Identity
from .services.intake import Intake
from .services.lease import PollLease
from .services.pacer import Pacer
from .services.poller import Poller, PollOptions
from .services.response_handler import ResponseHandler, consumer_options, handle_assistant_responses
from .services.sender import Sender
from .services.throttle import Throttle
from .services.typing_indicator import TypingIndicator
from .services.user_changes import UserChanges
from .utils.texts import ENGLISH, RUSSIAN, menu

SERVICE = "tg_bot"
NOT_TEXT_PAUSE = 10
"""Seconds in which ten photos get one answer."""

log = get_logger(__name__)


async def handle_telegram_update(bot: Bot, update: Update) -> Outcome:
    """What an update leads to; nothing is enqueued here.

    Raises:
        RestUnavailableError: nothing is known of who wrote it; try again.
        RedisError: the same, for the counters.
    """
    if update.my_chat_member:
        return await handle_membership(bot, update.my_chat_member)
    if update.edited_message:
        ignore_edit(update.edited_message, update.update_id)
        return None
    if update.message is None:
        log.info("update_of_no_use", update_id=update.update_id)
        return None
    if update.message.chat.type is not ChatType.PRIVATE:
        return await handle_group(bot, update.message, update.update_id)
    return await process_message(bot, update.message, update.update_id)


async def process_message(bot: Bot, message: Message, update_id: int) -> Outcome:
    """What a private message leads to: a word to the assistant, or the bot's own answer.

    Raises as `handle_telegram_update`.
    """
    if message.sender is None or message.is_service:
        return None
    user = await bot.rest.get_user(message.sender.id)
    if user and user.role is UserRole.BLOCKED:
        return None
    bot.changes.saw(message.sender.id, message.date)
    text = message.words
    command = parse_command(text)
    question = Question(bot.identity.bot_id, update_id, message, message.sender, user)
    if command and command[0] == "start":
        return await handle_start(bot, question, command[1])
    if user is None:
        if not bot.open_access:
            return await refuse(bot, question)
        user = await get_or_create(bot.rest, message.sender)
        question = replace(question, user=user)
    else:
        await keep_in_step(bot.changes, user, message.sender)
    if command:
        return await handle_command(bot, question, user, *command)
    return await _said(bot, question, user, text)


async def _said(bot: Bot, question: Question, user: UserRead, text: str) -> Outcome:
    """What a known user's words lead to."""
    message = question.message
    first = True
    if message.media_group_id or not text.strip():  # an album's caption stands at one of its pictures
        first = await bot.throttle.once(
            f"not_text:{message.chat.id}", question.update_id, seconds=NOT_TEXT_PAUSE
        )
    if not text.strip():
        return question.answer(question.texts.not_text) if first else None
    if len(text) > MAX_INCOMING_TEXT:
        return question.answer(question.texts.too_long)
    return IncomingMessage(
        id=question.id,
        correlation_id=question.id,
        user_id=user.id,
        chat_id=message.chat.id,
        text=text,
        sent_at=message.date,
    )


async def introduce(identity: Identity, telegram: TelegramClient, rest: RestClient, bot: BotIdentity) -> None:
    """Say everywhere which bot plays.

    Raises:
        RestUnavailableError, AccessError: rest_service did not take that; nothing may be handled yet.
    """
    await identity.announce(bot, rest)
    await register_commands(telegram)


async def register_commands(telegram: TelegramClient) -> None:
    """Put the commands into the bot's menu; a failure leaves the old menu."""
    try:
        await telegram.set_my_commands(menu(ENGLISH))
        await telegram.set_my_commands(menu(RUSSIAN), "ru")
    except TelegramError as exc:
        log.warning("menu_not_set", error=str(exc))


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
        settled = partial(bot.producer.settled, settings.input_queue)
        typing = TypingIndicator(telegram, settled, limit=settings.telegram_typing_limit)
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
    await identity.known()
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
        partial(handle_telegram_update, bot),
        identity=bot.identity,
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
        on_start=partial(introduce, bot.identity, telegram, bot.rest),
    )


def _sender(settings: Settings, redis: aioredis.Redis, telegram: TelegramClient) -> Sender:
    pacer = Pacer(settings.telegram_rate_limit, settings.telegram_chat_rate_limit)
    return Sender(telegram, pacer, redis)


async def _ping(redis: aioredis.Redis) -> None:
    await redis.ping()


def main() -> None:
    """Start the process."""
    settings = load(Settings)
    configure_logging(SERVICE, settings)
    lifecycle.run(lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
