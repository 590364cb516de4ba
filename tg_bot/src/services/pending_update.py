"""An update between its arrival and its confirmation, and what the bot decides about it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from pydantic import ValidationError

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage, OutgoingType, reply_id
from service_kit.contracts.users import UserRead
from service_kit.logging import get_logger

from ..client.models import ChatType, Update
from ..utils.texts import texts_for

log = get_logger(__name__)

Decision: TypeAlias = IncomingMessage | OutgoingMessage | None
"""A message to the assistant, a message to the chat, or nothing."""


@dataclass(slots=True, eq=False)
class PendingUpdate:
    """An update that is not confirmed to Telegram yet."""

    update_id: int
    update: Update | None
    """None: its shape is unknown."""
    decision: Decision = None
    is_decided: bool = False
    is_stored: bool = False
    """Whether the decision is on its queue."""
    error: Exception | None = None
    """Why the last attempt to decide failed."""
    first_seen: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Self | None:
        """The update; None without a usable id."""
        update_id = raw.get("update_id")
        if not isinstance(update_id, int) or isinstance(update_id, bool) or not 0 < update_id < 2**53:
            log.error("update_id_invalid", fields=sorted(raw))
            return None
        try:
            return cls(update_id, Update.model_validate(raw))
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]
            log.error(  # noqa: TRY400 - no bug, no traceback
                "update_invalid", update_id=update_id, field=problem["loc"], problem=problem["msg"]
            )
            return cls(update_id, None)

    @property
    def chat_id(self) -> int:
        """The chat whose order counts; 0 where no order does."""
        if self.update is None:
            return 0
        content = self.update.message or self.update.edited_message or self.update.my_chat_member
        return content.chat.id if content else 0


def message_id(update_id: int) -> str:
    """Id of the message that an update leads to, the same in every life of this process."""
    return f"tg:{update_id}"


def create_notice(
    bot_id: int, update_id: int, chat_id: int, text: str, *, user: UserRead | None = None
) -> OutgoingMessage:
    """Plain text of this bot for one chat; without a `user` it is deliberately for a stranger."""
    question_id = message_id(update_id)
    return OutgoingMessage(
        type=OutgoingType.NOTICE,
        id=reply_id(question_id),
        correlation_id=question_id,
        in_reply_to=question_id,
        bot_id=bot_id,
        chat_id=chat_id,
        user_id=user.id if user else None,
        to_stranger=user is None,
        text=text,
    )


def create_apology(bot_id: int, update: Update | None) -> Decision:
    """The notice that a message cannot be handled; None in a group, which hears nothing."""
    if update is None or update.message is None or update.message.chat.type is not ChatType.PRIVATE:
        return None
    message = update.message
    language = message.sender.language_code if message.sender else None
    return create_notice(bot_id, update.update_id, message.chat.id, texts_for(language).failed)
