"""The way of an update to a decision: private messages, groups, edits, blocks."""

from dataclasses import replace

from service_kit.contracts.messages import MAX_INCOMING_TEXT, IncomingMessage
from service_kit.contracts.users import UserRead, UserRole, UserUpdate
from service_kit.logging import get_logger

from ..client.models import ChatMemberUpdated, ChatType, Message, Update
from ..services.pending_update import Decision, create_notice
from ..utils.texts import texts_for
from .base import REFUSAL_PAUSE, Bot, Request
from .commands import handle_command, parse_command
from .profile import get_or_create, update_profile
from .start import handle_start, refuse

log = get_logger(__name__)

NOT_TEXT_PAUSE = 10
"""Seconds in which several photos get one reply."""


async def handle_telegram_update(bot: Bot, update: Update) -> Decision:
    """Decide on an update; nothing is enqueued here.

    Raises:
        RestUnavailableError: the writer cannot be looked up now; try again.
        RedisError: the counters cannot be read now; try again.
    """
    if update.my_chat_member:
        return await handle_membership(bot, update.my_chat_member)
    if update.edited_message:
        ignore_edit(update.edited_message, update.update_id)
        return None
    if update.message is None:
        log.info("update_ignored", update_id=update.update_id)
        return None
    if update.message.chat.type is not ChatType.PRIVATE:
        return await handle_group(bot, update.message, update.update_id)
    return await process_message(bot, update.message, update.update_id)


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


async def handle_group(bot: Bot, message: Message, update_id: int) -> Decision:
    """Tell a group that the bot talks in private chats only, once in `REFUSAL_PAUSE`."""
    if message.is_service:
        return None
    if not await bot.throttle.once(f"group:{message.chat.id}", update_id, seconds=REFUSAL_PAUSE):
        return None
    log.info("group_rejected", chat_id=message.chat.id)
    texts = texts_for(message.sender.language_code if message.sender else None)
    return create_notice(bot.identity.bot_id, update_id, message.chat.id, texts.group)


def ignore_edit(message: Message, update_id: int) -> None:
    """Only log an edit: the original message was answered already.

    A reply to each corrected letter would be worse than none.
    """
    log.info("edit_ignored", update_id=update_id, chat_id=message.chat.id)


async def handle_membership(bot: Bot, change: ChatMemberUpdated) -> Decision:
    """Store whether the user can be reached: they blocked or unblocked the bot."""
    if change.chat.type is ChatType.PRIVATE and change.sender:
        reachable = change.new_chat_member.status != "kicked"
        await bot.changes.apply(change.sender.id, UserUpdate(is_active=reachable))
    return None
