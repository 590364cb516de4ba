"""Private messages: who may write, what is a command, and what goes to the assistant."""

from dataclasses import replace

from service_kit.contracts.messages import MAX_INCOMING_TEXT, IncomingMessage
from service_kit.contracts.users import UserRead, UserRole

from ..client.models import Message
from ..services.pending_update import Decision
from .base import Bot, Request
from .commands import handle_command, parse_command
from .profile import get_or_create, update_profile
from .start import handle_start, refuse

NOT_TEXT_PAUSE = 10
"""Seconds in which several photos get one reply."""


async def process_message(bot: Bot, message: Message, update_id: int) -> Decision:
    """Decide on a private message: it goes to the assistant, or the bot answers itself.

    Raises as `handle_telegram_update`.
    """
    if message.sender is None or message.is_service:
        return None
    user = await bot.rest.get_user(message.sender.id)
    if user and user.role is UserRole.BLOCKED:
        return None  # before everything else: a blocked user gets no reply, not even to /start
    bot.changes.record_seen(message.sender.id, message.date)
    text = message.words
    command = parse_command(text)
    request = Request(bot.identity.bot_id, update_id, message, message.sender, user)
    if command and command[0] == "start":
        return await handle_start(bot, request, command[1])
    if user is None:
        if not bot.open_access:
            return await refuse(bot, request)
        user = await get_or_create(bot.rest, message.sender)
        request = replace(request, user=user)
    else:
        await update_profile(bot.changes, user, message.sender)
    if command:
        return await handle_command(bot, request, user, *command)
    return await _forward_text(bot, request, user, text)


async def _forward_text(bot: Bot, request: Request, user: UserRead, text: str) -> Decision:
    """Pass a known user's words on to the assistant, or say why not."""
    message = request.message
    may_reply = True
    if message.media_group_id or not text.strip():  # of an album only one picture has the caption
        may_reply = await bot.throttle.once(
            f"not_text:{message.chat.id}", request.update_id, seconds=NOT_TEXT_PAUSE
        )
    if not text.strip():
        return request.reply(request.texts.not_text) if may_reply else None
    if len(text) > MAX_INCOMING_TEXT:
        return request.reply(request.texts.too_long)
    return IncomingMessage(
        id=request.id,
        correlation_id=request.id,
        user_id=user.id,
        chat_id=message.chat.id,
        text=text,
        sent_at=message.date,
    )
