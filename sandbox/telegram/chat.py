"""A person's private chat with the bot, and its messages."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from ..storage import MESSAGES_KEPT
from ..waiting import Signal
from .formatting import Entity

JsonObject = dict[str, Any]


@dataclass(slots=True)
class ChatMessage:
    """One message of a chat. `number` is Telegram's message_id; `revision` grows with every change."""

    number: int
    sender: Literal["user", "bot"]
    text: str
    entities: list[Entity]
    date: int
    revision: int = 0
    reply_markup: JsonObject | None = None
    edited: int | None = None

    @classmethod
    def from_json(cls, body: JsonObject, revision: int) -> Self:
        """From what `as_json` made of it, as the store keeps it."""
        return cls(
            number=body["number"],
            sender=body["from"],
            text=body["text"],
            entities=body["entities"],
            date=body["date"],
            revision=revision,
            reply_markup=body.get("reply_markup"),
            edited=body.get("edited"),
        )

    def as_json(self) -> JsonObject:
        """As the chat interface shows it."""
        body: JsonObject = {
            "number": self.number,
            "from": self.sender,
            "text": self.text,
            "entities": self.entities,
            "date": self.date,
        }
        if self.edited:
            body["edited"] = self.edited
        if self.reply_markup:
            body["reply_markup"] = self.reply_markup
        return body


@dataclass(slots=True)
class Chat:
    """A person and their private chat with the bot; the chat's id is the person's."""

    id: int
    name: str
    messages: deque[ChatMessage] = field(default_factory=lambda: deque(maxlen=MESSAGES_KEPT))
    last_number: int = 0
    revision: int = 0
    typing_until: float = 0.0
    language: str | None = None
    """Of the person's app, as far as it has told."""
    changed: Signal = field(default_factory=Signal)

    @property
    def typing_left(self) -> float:
        """Seconds for which the bot still counts as typing."""
        return max(0.0, self.typing_until - time.monotonic())

    def find(self, number: int) -> ChatMessage | None:
        """A kept message by its number."""
        return next((message for message in reversed(self.messages) if message.number == number), None)

    def user_json(self) -> JsonObject:
        """The person as a Telegram User."""
        language = self.language
        # the terminal tells no language: a Russian name stands for a Russian app
        if language is None:
            language = "ru" if any("а" <= letter <= "я" for letter in self.name.lower()) else "en"
        return {"id": self.id, "is_bot": False, "first_name": self.name, "language_code": language}

    def chat_json(self) -> JsonObject:
        """The chat as a Telegram Chat."""
        return {"id": self.id, "first_name": self.name, "type": "private"}
