"""Dispatches updates by their kind, and handles groups, edits and blocks."""

from service_kit.contracts.users import UserUpdate
from service_kit.logging import get_logger

from ..client.models import ChatMemberUpdated, ChatType, Message, Update
from ..services.pending_update import Decision, create_notice
from ..utils.texts import texts_for
from .base import REFUSAL_PAUSE, Bot
from .message import process_message

log = get_logger(__name__)


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
