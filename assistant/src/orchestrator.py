"""From a message on the queue to its answer.

A message is finished in one of three ways: an answer, one friendly sentence (the model or its
provider failed: another try now would not help the user who waits), or back to the queue (our own
parts are away: rest_service, Redis; the message waits for them). Only a message that is none, or of
nobody we know, goes to the dead letters at once.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.changes import ChangeAwareCache, Topic
from service_kit.clock import Clock
from service_kit.contracts.messages import IncomingMessage, IncomingType, OutgoingMessage, OutgoingType
from service_kit.contracts.users import UserRead, UserRole
from service_kit.errors import KitError, NotFoundError
from service_kit.logging import correlated, get_logger
from service_kit.queue.base import Delivery, Reject, RetryLater

from .assistants.base import BaseAssistant
from .assistants.factory import AssistantFactory
from .core.errors import AssistantError, ConfigurationError, ContextOverflowError, NoSecretaryError
from .core.run_context import RunContext, UserProfile
from .messages.incoming import parse
from .messages.outgoing import answer_to
from .messages.texts import Text, say
from .services.rest_service import RestServiceClient
from .storage.conversation import ConversationStore

log = get_logger(__name__)

BUG_RETRIES = 2
SHARE_FOR_TOOLS = 2 / 3
"""Of a message's time; the rest is for the last answer, without tools."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A sentence for the user and the reason for the log."""

    text: Text
    reason: str


class AssistantOrchestrator:
    """Serves the messages of all users."""

    def __init__(
        self,
        *,
        rest: RestServiceClient,
        factory: AssistantFactory,
        conversations: ConversationStore,
        redis: aioredis.Redis,
        clock: Clock,
        message_timeout: float,
    ) -> None:
        self._rest = rest
        self._factory = factory
        self._conversations = conversations
        self._clock = clock
        self._message_timeout = message_timeout
        self._users: ChangeAwareCache[UserRead] = ChangeAwareCache(redis, Topic.USERS)
        self._secretaries: ChangeAwareCache[BaseAssistant] = ChangeAwareCache(redis, Topic.CONFIGURATION)

    async def initialize(self) -> None:
        """Build the secretary before the first message; where that fails, the first message tries again."""
        try:
            secretary = await self._secretary()
        except (KitError, ConfigurationError) as exc:
            log.warning("no_secretary_yet", reason=str(exc))
        else:
            log.info("secretary_ready", assistant=secretary.name)

    async def handle(self, delivery: Delivery) -> Sequence[OutgoingMessage]:
        """The queue's handler.

        Raises:
            Reject: no message, or of an unknown or blocked user.
            RetryLater: rest_service or Redis is away and what we need of it is not known.
        """
        message = parse(delivery)
        with correlated(message.correlation, user_id=message.user_id):
            log.info("message_received", type=message.type, attempt=delivery.attempt)
            try:
                return [await self.process_message(message)]
            except (KitError, RedisError) as exc:
                log.warning("message_waits", reason=str(exc))
                raise RetryLater(str(exc)) from exc
            except Exception as exc:  # a bug of ours: tried again, but not as long as a service is waited for
                if delivery.attempt < BUG_RETRIES or isinstance(exc, Reject):
                    raise
                log.exception("message_breaks_the_service")
                raise Reject(f"{type(exc).__name__} in each of {delivery.attempt + 1} tries") from exc

    def failure_notice(self, delivery: Delivery) -> OutgoingMessage | None:
        """What a user hears whose message the queue gives up; strangers and the blocked hear nothing."""
        try:
            message = parse(delivery)
        except Reject:
            return None
        user = self._users.peek(message.user_id)
        if user is None or not _is_welcome(user):
            return None
        incident = _incident()
        log.error(
            "message_given_up",
            incident=incident,
            correlation_id=message.correlation,
            user_id=message.user_id,
        )
        text = say(Text.GIVEN_UP, language=user.language, message=message.text, incident=incident)
        return answer_to(message, text, kind=OutgoingType.NOTICE)

    async def process_message(self, message: IncomingMessage) -> OutgoingMessage:
        """The answer to one message: a reply, or a notice of the service itself.

        Raises:
            Reject: the user is unknown, not active or blocked.
            KitError: rest_service could not be asked and what it would say is not known.
        """
        user = await self._user(message.user_id)
        if message.type is IncomingType.RESET:
            removed = await self._conversations.forget(user.id)
            log.info("conversations_forgotten", conversations=removed)
            text = say(Text.RESET_DONE, language=user.language)
            return answer_to(message, text, kind=OutgoingType.NOTICE)
        return await self._answered(message, user)

    async def _answered(self, message: IncomingMessage, user: UserRead) -> OutgoingMessage:
        loop = asyncio.get_running_loop()
        started = loop.time()
        context = RunContext(
            user=UserProfile.of(user),
            message_id=message.id or f"anonymous:{uuid4().hex}",
            deadline=started + self._message_timeout,
            tools_until=started + self._message_timeout * SHARE_FOR_TOOLS,
            clock=self._clock,
        )
        answer = await self._run(message, context)
        totals = context.totals
        cost = {
            "ms": round((loop.time() - started) * 1000, 1),
            "input_tokens": totals.usage.input_tokens,
            "output_tokens": totals.usage.output_tokens,
            "cached_tokens": totals.usage.cached_tokens,
            "model_calls": totals.model_calls,
            "tool_calls": totals.tool_calls,
        }
        if isinstance(answer, str):
            log.info("reply_sent", **cost)
            return answer_to(message, answer, kind=OutgoingType.REPLY)
        incident = _incident()
        log.error("message_failed", incident=incident, reason=answer.reason, **cost)
        text = say(answer.text, language=user.language, message=message.text, incident=incident)
        return answer_to(message, text, kind=OutgoingType.NOTICE)

    async def _run(self, message: IncomingMessage, context: RunContext) -> str | _Failure:
        """The secretary's answer, or why there is none."""
        try:
            async with asyncio.timeout_at(context.deadline):
                secretary = await self._secretary()
                return await secretary.process_message(message.text, message.user_id, context)
        except NoSecretaryError as exc:
            return _Failure(Text.NO_SECRETARY, str(exc))
        except ContextOverflowError as exc:
            return _Failure(Text.TOO_LONG, str(exc))
        except AssistantError as exc:
            return _Failure(Text.FAILED, f"{type(exc).__name__}: {exc}")
        except TimeoutError:
            return _Failure(Text.FAILED, f"no answer in {self._message_timeout:g} s")

    async def _user(self, user_id: int) -> UserRead:
        try:
            user = await self._users.get(user_id, lambda: self._rest.get_user(user_id))
        except NotFoundError as exc:
            raise Reject(f"unknown user {user_id}") from exc
        if not _is_welcome(user):
            state = "blocked" if user.role is UserRole.BLOCKED else "not active"
            raise Reject(f"user {user_id} is {state}")
        return user

    async def _secretary(self) -> BaseAssistant:
        """The secretary as it is configured now; as it was when rest_service is away."""
        return await self._secretaries.get("secretary", self._build_secretary)

    async def _build_secretary(self) -> BaseAssistant:
        """The default secretary, or the oldest other active one that can be built.

        Raises:
            NoSecretaryError: there is none.
            KitError: rest_service did not answer.
        """
        for row in await self._rest.get_secretaries():
            try:
                return self._factory.create_main_assistant(await self._rest.get_tree(row.id))
            except NotFoundError:
                log.info("secretary_gone", assistant=row.name)
            except ConfigurationError as exc:
                log.warning("secretary_skipped", assistant=row.name, reason=str(exc))
        raise NoSecretaryError("no active assistant with is_secretary that can be built")


def _is_welcome(user: UserRead) -> bool:
    return user.is_active and user.role is not UserRole.BLOCKED


def _incident() -> str:
    """Short enough to be read out, letters only, no word; stands in the sentence and in the log."""
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(7))
