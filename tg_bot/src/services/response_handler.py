"""Delivers the messages of `queue:to_telegram`: finds the chat, renders the text, classifies failures.

Only known users get messages. A message that Telegram cannot accept now is retried for a day, as long as
Telegram itself keeps updates. A message that it will never accept goes to the dead letters with the reason.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress

from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from service_kit.contracts.messages import OutgoingMessage, OutgoingType
from service_kit.contracts.users import UserRead, UserRole, UserUpdate
from service_kit.errors import AccessError, KitError, TransientError
from service_kit.logging import bind_correlation, get_logger
from service_kit.queue.base import ConsumerOptions, Delivery, Reject, RetryLater
from service_kit.queue.consumer import RedisConsumer

from ..client.errors import ChatNotFoundError, TelegramRefusedError, UnauthorizedError, UnreachableError
from ..client.rest import RestClient
from ..utils.markdown import render
from .identity import Identity
from .reply_sender import ReplySender
from .typing_indicator import TypingIndicator
from .user_changes import UserChanges

log = get_logger(__name__)

LONGEST_WAIT = 86_400.0
"""Seconds that a message waits while Telegram, Redis or rest_service is away."""
TRIES_AFTER_A_BUG = 5
"""Attempts; a bug must not block the chat for a day."""


def consumer_options(queue: str, slot: str, *, drain_timeout: float) -> ConsumerOptions:
    """How the bot consumes `queue`: in order per chat; a long reply may take minutes."""
    return ConsumerOptions(
        queue=queue,
        slot=slot,
        group_fields=("chat_id", "user_id"),
        handler_timeout=600.0,
        max_attempts=TRIES_AFTER_A_BUG,
        longest_wait=LONGEST_WAIT,
        lane_cap=2_000,
        drain_timeout=drain_timeout,
    )


async def handle_assistant_responses(consumer: RedisConsumer, stop: asyncio.Event) -> None:
    """Consume `queue:to_telegram` until `stop` is set and what was begun is sent."""
    await consumer.run(stop)


class ResponseHandler:
    """The handler of the queue: sends one OutgoingMessage."""

    def __init__(
        self,
        identity: Identity,
        sender: ReplySender,
        rest: RestClient,
        changes: UserChanges,
        typing: TypingIndicator,
    ) -> None:
        self._identity = identity
        self._sender = sender
        self._rest = rest
        self._changes = changes
        self._typing = typing

    async def __call__(self, delivery: Delivery) -> Sequence[BaseModel]:
        """Send the message; raises RetryLater or Reject."""
        try:
            message = OutgoingMessage.model_validate_json(delivery.raw)
        except ValidationError as exc:
            raise Reject(f"not an outgoing message: {_first_error(exc)}") from exc
        with bind_correlation(message.correlation):
            try:
                await self._deliver(message, delivery)
            except (TransientError, RedisError, AccessError, UnauthorizedError) as exc:
                # the operator must mend the last two; the message waits until then
                raise RetryLater(str(exc)) from exc
            except (TelegramRefusedError, KitError) as exc:
                raise Reject(str(exc)) from exc
            finally:  # sent or not: no more comes, or not soon
                if message.in_reply_to and message.chat_id is not None:
                    self._typing.end(message.chat_id, message.in_reply_to)
        return ()

    async def _deliver(self, message: OutgoingMessage, delivery: Delivery) -> None:
        if message.bot_id not in {None, self._identity.bot_id}:
            raise Reject(f"message of bot {message.bot_id}, which is not active")
        chat_id, user = await self._address(message)
        parts = render(message.text, markdown=message.type is not OutgoingType.NOTICE)
        if not parts:
            raise Reject("no visible text")
        key = delivery.id or f"raw:{hashlib.sha256(delivery.raw).hexdigest()}"
        try:
            await self._typing.wait_for_call(chat_id)
            await self._sender.send(chat_id, key, parts)
            if not delivery.id:  # the key is a hash of the text: an equal text must be sent again
                await self._sender.forget(key)
        except (UnreachableError, ChatNotFoundError):
            if user:
                with suppress(RedisError):  # the next message that is not delivered tries again
                    await self._changes.apply(user.telegram_id, UserUpdate(is_active=False))
            raise
        log.info("reply_delivered", chat_id=chat_id, type=message.type, parts=len(parts))

    async def _address(self, message: OutgoingMessage) -> tuple[int, UserRead | None]:
        """The chat and its user; raises Reject for an unknown or blocked one."""
        if message.to_stranger:
            if message.type is not OutgoingType.NOTICE or message.chat_id is None or message.bot_id is None:
                raise Reject("only a notice with a chat_id and a bot_id may go to a stranger")
            return message.chat_id, None
        if message.user_id is not None:
            user = await self._rest.get_user_by_id(message.user_id)
        else:  # a private chat has the id of its user
            user = await self._rest.get_user(message.chat_id or 0)
        if user is None:
            raise Reject(f"unknown user or chat: user_id={message.user_id}, chat_id={message.chat_id}")
        if user.role is UserRole.BLOCKED:
            raise Reject(f"user {user.id} is blocked")
        return user.telegram_id, user


def _first_error(exc: ValidationError) -> str:
    error = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(step) for step in error["loc"])
    return f"{where}: {error['msg']}" if where else error["msg"]
