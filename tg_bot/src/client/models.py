"""The part of the Bot API's objects that the bot reads, and what it writes. Unknown fields are ignored."""

from enum import StrEnum
from typing import NotRequired, TypedDict

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ChatType(StrEnum):
    """Where a message was written."""

    PRIVATE = "private"
    GROUP = "group"
    SUPERGROUP = "supergroup"
    CHANNEL = "channel"


class Chat(_Read):
    """A chat; a private chat has the id of its user."""

    id: int
    type: ChatType


class Sender(_Read):
    """Telegram's `User`."""

    id: int
    is_bot: bool = False
    first_name: str = ""
    username: str | None = None
    language_code: str | None = None


class Message(_Read):
    """A message; `text` is None where it is a photo, a voice message, a sticker and so on."""

    message_id: int
    date: AwareDatetime
    chat: Chat
    sender: Sender | None = Field(default=None, alias="from")
    text: str | None = None


class ChatMember(_Read):
    """How the bot now stands in a chat: `kicked` after a user blocked it."""

    status: str


class ChatMemberUpdated(_Read):
    """The bot's own standing in a chat changed."""

    chat: Chat
    sender: Sender | None = Field(default=None, alias="from")
    new_chat_member: ChatMember


class Update(_Read):
    """One update; exactly one of the optional fields is there."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    my_chat_member: ChatMemberUpdated | None = None


ALLOWED_UPDATES = ["message", "edited_message", "my_chat_member"]
"""Always sent with getUpdates: where it is missing Telegram keeps the previous setting."""


class BotIdentity(_Read):
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
