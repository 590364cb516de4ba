"""The world behind the Bot API: people, their chats with the bot, and the bots themselves."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from ..stats import Stats
from ..storage import Store
from .chat import Chat, ChatMessage, JsonObject
from .errors import BadRequestError
from .formatting import Entity, command_entities
from .updates import UpdateQueue

FIRST_PERSON = 1001
DEFAULT_PERSON = "You"
TYPING_LASTS = 5.0
"""Seconds that one sendChatAction is shown (Bot API, "sendChatAction")."""
MAX_TEXT_OF_PERSON = 4096
_NOBODY = 0
"""Updates that wait for the first bot to appear."""


class Messenger:
    """Everything that Telegram's servers would know."""

    def __init__(self, store: Store, stats: Stats, bot_name: str) -> None:
        self.bot_name = bot_name
        self._store = store
        self._stats = stats
        self._chats: dict[int, Chat] = {}
        self._by_name: dict[str, Chat] = {}
        self._bots: dict[int, UpdateQueue] = {}
        self._current = _NOBODY
        # Milliseconds of the epoch: an update id never comes again, with or without a stored state, as
        # long as fewer than a thousand updates a second are made on average.
        self._update_id = time.time_ns() // 1_000_000
        self._restore()

    @property
    def chats(self) -> tuple[Chat, ...]:
        """All chats, oldest person first."""
        return tuple(self._chats.values())

    @property
    def commands(self) -> dict[str, list[Any]]:
        """What the current bot has registered, by language code."""
        return self._bots[self._current].commands if self._current in self._bots else {}

    def person(self, name: str) -> Chat:
        """The person called `name`, made if there is none yet."""
        chat = self._by_name.get(name)
        if chat is None:
            chat = Chat(id=max(self._chats, default=FIRST_PERSON - 1) + 1, name=name)
            self._chats[chat.id] = self._by_name[name] = chat
            self._store.save_person(chat.id, name)
        return chat

    def chat(self, chat_id: int) -> Chat | None:
        """The chat with this id."""
        return self._chats.get(chat_id)

    def bot(self, bot_id: int) -> UpdateQueue:
        """The bot with this id, made if it is new; the first one gets what people wrote before."""
        queue = self._bots.get(bot_id)
        if queue is None:
            queue = self._bots[bot_id] = UpdateQueue(bot_id, self._store)
            # who opens the chat page before the bot polls must get an answer all the same
            early = self._bots.pop(_NOBODY, None)
            if early is not None:
                for update in early.drain():
                    queue.adopt(update)
            self._current = bot_id
        return queue

    def note_poll(self, bot_id: int) -> None:
        """People write to the bot that asked for updates last."""
        self._current = bot_id

    def say(self, chat: Chat, text: str) -> tuple[ChatMessage, int]:
        """A person writes; returns the message and the id of its update."""
        message = self._append(chat, "user", text, command_entities(text))
        body: JsonObject = {
            "message_id": message.number,
            "from": chat.user_json(),
            "chat": chat.chat_json(),
            "date": message.date,
            "text": text,
        }
        if message.entities:
            body["entities"] = message.entities
        return message, self._update("message", body)

    def press(self, chat: Chat, message: ChatMessage, data: str) -> int:
        """A person presses a button of an inline keyboard; returns the id of the update."""
        update_id = self._update_id + 1
        body = {
            "id": str(update_id),
            "from": chat.user_json(),
            "chat_instance": str(chat.id),
            "message": self.message_json(self._current, chat, message),
            "data": data,
        }
        return self._update("callback_query", body)

    def send(
        self, chat: Chat, text: str, entities: list[Entity], reply_markup: JsonObject | None = None
    ) -> ChatMessage:
        """A bot writes."""
        chat.typing_until = 0.0
        message = self._append(chat, "bot", text, entities, reply_markup)
        self._stats.record_sent(chat.id, message.number, text)
        return message

    def edit(
        self,
        chat: Chat,
        message: ChatMessage,
        text: str,
        entities: list[Entity],
        reply_markup: JsonObject | None,
    ) -> None:
        """A bot changes what it wrote; raises BadRequestError where nothing would change."""
        if (message.text, message.entities, message.reply_markup) == (text, entities, reply_markup):
            raise BadRequestError(
                "message is not modified: specified new message content and reply markup are exactly the "
                "same as a "
                "current content and reply markup of the message"
            )
        message.text, message.entities, message.reply_markup = text, entities, reply_markup
        message.edited = int(time.time())
        self._announce_change(chat, message)

    def type(self, chat: Chat) -> None:
        """The bot is seen typing for a moment."""
        chat.typing_until = time.monotonic() + TYPING_LASTS
        chat.changed.fire()

    def reset(self) -> None:
        """Forget all people and messages and all unconfirmed updates; bots stay known."""
        for queue in self._bots.values():
            queue.drop_all()
        # those who wait for news of a chat wake up and find it gone
        chats = list(self._chats.values())
        self._chats.clear()
        self._by_name.clear()
        for chat in chats:
            chat.changed.fire()
        self._store.clear()

    def bot_user(self, bot_id: int) -> JsonObject:
        """A bot as a Telegram User."""
        return {
            "id": bot_id,
            "is_bot": True,
            "first_name": self.bot_name,
            "username": f"sandbox_{bot_id}_bot",
        }

    def message_json(self, bot_id: int, chat: Chat, message: ChatMessage) -> JsonObject:
        """A message of a bot as the Bot API answers it."""
        body: JsonObject = {
            "message_id": message.number,
            "from": self.bot_user(bot_id),
            "chat": chat.chat_json(),
            "date": message.date,
            "text": message.text,
        }
        if message.entities:
            body["entities"] = message.entities
        if message.reply_markup:
            body["reply_markup"] = message.reply_markup
        if message.edited:
            body["edit_date"] = message.edited
        return body

    def _update(self, kind: str, body: JsonObject) -> int:
        self._update_id += 1
        queue = self._bots.get(self._current)
        if queue is None:
            queue = self._bots[_NOBODY] = UpdateQueue(_NOBODY, self._store)
        queue.put(kind, self._update_id, body)
        return self._update_id

    def _append(
        self,
        chat: Chat,
        sender: Literal["user", "bot"],
        text: str,
        entities: Sequence[Entity],
        reply_markup: JsonObject | None = None,
    ) -> ChatMessage:
        chat.last_number += 1
        message = ChatMessage(
            number=chat.last_number,
            sender=sender,
            text=text,
            entities=list(entities),
            date=int(time.time()),
            reply_markup=reply_markup,
        )
        chat.messages.append(message)
        self._announce_change(chat, message)
        return message

    def _announce_change(self, chat: Chat, message: ChatMessage) -> None:
        chat.revision += 1
        message.revision = chat.revision
        self._store.save_message(chat.id, message.number, message.as_json())
        chat.changed.fire()

    def _restore(self) -> None:
        snapshot = self._store.load()
        for number, name in snapshot.people.items():
            chat = self._chats[number] = self._by_name[name] = Chat(id=number, name=name)
            for revision, body in enumerate(snapshot.messages.get(number, ()), start=1):
                chat.messages.append(ChatMessage.from_json(body, revision))
                chat.revision, chat.last_number = revision, body["number"]
        for bot_id, updates in snapshot.updates.items():
            queue = self._bots[bot_id] = UpdateQueue(bot_id, self._store)
            queue.restore(updates)
            self._current = bot_id
            # an update id never goes back, even where the clock has
            self._update_id = max(self._update_id, updates[-1]["update_id"])
