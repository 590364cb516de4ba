"""The objects of the Bot API that the bot reads and writes. Unknown fields are ignored."""

import re
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from service_kit.contracts.messages import MAX_INCOMING_TEXT
from service_kit.contracts.users import TelegramId

from ..utils.addresses import add_addresses

_LONE_SURROGATES_AND_NUL = re.compile("[\ud800-\udfff\0]")


class BotObject(BaseModel):
    """An object of the Bot API that is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic validates what this returns
        """Drop null fields (null means absent), and replace what UTF-8 and PostgreSQL cannot hold."""
        if not isinstance(data, dict):
            return data
        return {
            name: _LONE_SURROGATES_AND_NUL.sub("\ufffd", value) if isinstance(value, str) else value
            for name, value in data.items()
            if value is not None
        }


class ChatType(StrEnum):
    """Where a message was written."""

    PRIVATE = "private"
    GROUP = "group"
    SUPERGROUP = "supergroup"
    CHANNEL = "channel"


class Chat(BotObject):
    """A chat; a private chat has the id of its user."""

    id: TelegramId
    type: ChatType


class TelegramUser(BotObject):
    """Telegram's `User`: who sent a message."""

    id: TelegramId
    is_bot: bool = False
    first_name: str = ""
    username: str | None = None
    language_code: str | None = None


ATTACHMENTS = (
    "animation", "audio", "checklist", "contact", "dice", "document", "game", "invoice", "location",
    "paid_media", "photo", "poll", "sticker", "story", "venue", "video", "video_note", "voice",
)  # fmt: skip
"""What a user can send instead of a text, or with a caption (Bot API, Message). A message without any of
these and without a text is a service message: something was pinned, a title changed, somebody joined."""


class Message(BotObject):
    """A message: a text, an attachment perhaps with a caption, or a service message."""

    message_id: int
    date: AwareDatetime
    chat: Chat
    sender: TelegramUser | None = Field(default=None, alias="from")
    text: str = ""
    caption: str = ""
    entities: list[Any] = Field(default_factory=list)
    """Of the text. Raw, because a malformed one must not hide the message."""
    caption_entities: list[Any] = Field(default_factory=list)
    media_group_id: str | None = None
    """The album that it is a part of."""
    attachment: Any = Field(default=None, validation_alias=AliasChoices(*ATTACHMENTS))

    @property
    def words(self) -> str:
        """The user's text, with the addresses behind linked words if they fit."""
        text, entities = (self.text, self.entities) if self.text else (self.caption, self.caption_entities)
        text_and_addresses = add_addresses(text, entities)
        return text_and_addresses if len(text_and_addresses) <= MAX_INCOMING_TEXT else text

    @property
    def is_service(self) -> bool:
        """Whether it is a service message."""
        return not (self.text or self.caption or self.attachment)


class ChatMember(BotObject):
    """The bot's status in a chat: `kicked` after a user blocked it."""

    status: str


class ChatMemberUpdated(BotObject):
    """The bot's own status in a chat changed."""

    chat: Chat
    sender: TelegramUser | None = Field(default=None, alias="from")
    new_chat_member: ChatMember


class Update(BotObject):
    """One update; exactly one of the optional fields is there."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    my_chat_member: ChatMemberUpdated | None = None


ALLOWED_UPDATES = ["message", "edited_message", "my_chat_member"]
"""Sent with each getUpdates; without it Telegram keeps the previous setting."""


class BotIdentity(BotObject):
    """Who the token belongs to (`getMe`)."""

    id: int
    username: str = ""


class Command(BaseModel):
    """An entry of the bot's menu."""

    command: str
    description: str


class Entity(TypedDict):
    """Telegram's `MessageEntity`; offset and length in UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: NotRequired[str]
    language: NotRequired[str]
