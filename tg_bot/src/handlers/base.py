"""What handlers work with. They only decide; `services.intake` puts their decision on its queue."""

from dataclasses import dataclass

from pydantic import SecretStr

from service_kit.contracts.messages import OutgoingMessage
from service_kit.contracts.users import UserRead
from service_kit.queue.producer import RedisProducer

from ..client.models import Message, TelegramUser
from ..client.rest import RestClient
from ..services.identity import Identity
from ..services.pending_update import create_notice, message_id
from ..services.throttle import Throttle
from ..services.user_changes import UserChanges
from ..utils.texts import Texts, texts_for

REFUSAL_PAUSE = 600
"""Seconds in which a chat gets the same refusal once."""


@dataclass(frozen=True, slots=True)
class Bot:
    """The dependencies of the handlers."""

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
class Request:
    """One private message and what is known about its writer."""

    bot_id: int
    update_id: int
    message: Message
    sender: TelegramUser
    user: UserRead | None

    @property
    def id(self) -> str:
        """Id of the message on the queues."""
        return message_id(self.update_id)

    @property
    def texts(self) -> Texts:
        """The bot's sentences in the writer's language."""
        return texts_for(self.user.language if self.user else None, self.sender.language_code)

    @property
    def name(self) -> str:
        """How to address the writer."""
        return self.sender.first_name or (self.user.first_name if self.user else None) or "👋"

    def reply(self, text: str) -> OutgoingMessage:
        """The bot's own reply; it is queued like every reply."""
        return create_notice(self.bot_id, self.update_id, self.message.chat.id, text, user=self.user)
