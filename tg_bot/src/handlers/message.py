"""Private messages: who may write, what is a command, and what goes to the assistant."""

from dataclasses import replace

from service_kit.contracts.messages import MAX_INCOMING_TEXT, IncomingMessage
from service_kit.contracts.users import UserRead, UserRole

from ..client.models import Message
from ..services.pending_update import Decision
from .base import Bot, Request
from .commands import handle_command, parse_command
from .people import get_or_create, keep_in_step
from .start import handle_start, refuse

NOT_TEXT_PAUSE = 10
"""Seconds in which ten photos get one answer."""


async def process_message(bot: Bot, message: Message, update_id: int) -> Decision:
    """Decide on a private message: it goes to the assistant, or the bot answers itself.

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
    question = Request(bot.identity.bot_id, update_id, message, message.sender, user)
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
    return await _forward_text(bot, question, user, text)


async def _forward_text(bot: Bot, question: Request, user: UserRead, text: str) -> Decision:
    """Pass a known user's words on to the assistant, or say why not."""
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
