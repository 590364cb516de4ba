"""What handlers get and give: they decide what goes on which queue, the poller puts it there."""

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import SecretStr

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage, OutgoingType, reply_id
from service_kit.contracts.users import UserRead
from service_kit.queue.producer import RedisProducer

from ..client.models import Message, Sender
from ..client.rest import RestClient
from ..services.identity import Identity, message_id
from ..services.throttle import Throttle
from ..services.user_changes import UserChanges
from ..utils.texts import Texts, texts_for

REFUSAL_PAUSE = 600
"""Seconds in which a chat hears the same refusal once."""

Outcome: TypeAlias = IncomingMessage | OutgoingMessage | None
"""For the assistant, for the chat, or nothing to do."""


@dataclass(frozen=True, slots=True)
class Bot:
    """What the handlers work with."""

    identity: Identity
    rest: RestClient
    changes: UserChanges
    throttle: Throttle
    producer: RedisProducer
    input_queue: str
    input_queue_limit: int
    owner_code: SecretStr | None
    open_access: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One private message, and what is known about who wrote it."""

    bot_id: int
    update_id: int
    message: Message
    sender: Sender
    user: UserRead | None

    @property
    def id(self) -> str:
        """Id of the message on the queues."""
        return message_id(self.bot_id, self.update_id)

    @property
    def texts(self) -> Texts:
        """The bot's sentences in the writer's language."""
        return texts_for(self.user.language if self.user else None, self.sender.language_code)

    @property
    def name(self) -> str:
        """How to address the writer."""
        return self.sender.first_name or (self.user.first_name if self.user else None) or "👋"

    def answer(self, text: str) -> OutgoingMessage:
        """The bot's own answer; it goes the way of every reply."""
        return notice(self.bot_id, self.update_id, self.message.chat.id, text, user=self.user)


def notice(
    bot_id: int, update_id: int, chat_id: int, text: str, *, user: UserRead | None = None
) -> OutgoingMessage:
    """Plain text of this bot for one chat; without a `user` it is deliberately for a stranger."""
    answered = message_id(bot_id, update_id)
    return OutgoingMessage(
        type=OutgoingType.NOTICE,
        id=reply_id(answered),
        correlation_id=answered,
        in_reply_to=answered,
        bot_id=bot_id,
        chat_id=chat_id,
        user_id=user.id if user else None,
        to_stranger=user is None,
        text=text,
    )
