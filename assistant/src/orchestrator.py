"""From a message on the queue to its answer.

A message ends in one of four ways:
- an answer;
- one friendly sentence: the model or its provider failed, and another try now would not help the user who
  waits; or the user has no access;
- back to the queue: rest_service or Redis is away, and the message waits for it;
- a dead letter at once: it is not a message, or of an unknown user.
"""

import asyncio
import secrets
from collections.abc import Sequence
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.changes import ChangeAwareCache, ChangeCounters, Topic, Versions
from service_kit.clock import Clock
from service_kit.contracts.messages import IncomingMessage, IncomingType, OutgoingMessage, OutgoingType
from service_kit.contracts.users import UserRead, UserRole
from service_kit.errors import KitError, NotFoundError
from service_kit.logging import bind_correlation, get_logger
from service_kit.queue.base import Delivery, Reject, RetryLater

from .assistants.factory import AssistantFactory
from .assistants.secretary_in_force import SecretaryInForce
from .core import metrics
from .core.errors import AssistantError, ConfigurationError
from .core.metrics import MessageOutcome
from .core.run_context import SHARE_FOR_TOOLS, RunContext, UserProfile
from .messages.incoming import parse
from .messages.outgoing import answer_to
from .messages.partials import PartialReplies
from .messages.texts import Text, say, text_for
from .messages.trouble import Trouble
from .services.rest_service import RestServiceClient
from .services.usage import UsageLog
from .storage.user_data import UserData
from .utils.ttl_cache import TTLCache

log = get_logger(__name__)


class AssistantOrchestrator:
    """Serves the messages of all users."""

    def __init__(
        self,
        *,
        rest: RestServiceClient,
        factory: AssistantFactory,
        user_data: Sequence[UserData],
        usage: UsageLog,
        trouble: Trouble,
        redis: aioredis.Redis,
        clock: Clock,
        message_timeout: float,
        stream_replies: bool = False,
    ) -> None:
        self._rest = rest
        self._secretary = SecretaryInForce(rest, factory, redis)
        self._user_data = user_data
        self._usage = usage
        self._trouble = trouble
        self._redis = redis
        self._clock = clock
        self._message_timeout = message_timeout
        self._stream_replies = stream_replies
        self._changes = ChangeCounters(redis, Topic.USERS, Topic.CONFIGURATION)
        self._unknown: TTLCache[int, bool] = TTLCache(seconds=60.0, limit=1000)
        """Users whom rest_service has just said it does not know."""
        self._users: ChangeAwareCache[UserRead] = ChangeAwareCache(redis, Topic.USERS)

    async def initialize(self) -> None:
        """Build the secretary before the first message; where that fails, the first message tries again."""
        try:
            await self._secretary.get(await self._changes.read())
        except (KitError, ConfigurationError) as exc:
            log.warning("secretary_not_ready", reason=str(exc))

    async def handle(self, delivery: Delivery) -> Sequence[OutgoingMessage]:
        """The queue's handler.

        Raises:
            Reject: not a message, or of an unknown user.
            RetryLater: rest_service or Redis is away and what we need of it is not known.
        """
        with metrics.measure_message() as measured:
            try:
                message = parse(delivery)
                with bind_correlation(message.correlation, user_id=message.user_id):
                    log.info("message_received", type=message.type, attempt=delivery.attempt)
                    replies = await self.process_message(message)
            except Reject:
                measured.outcome = MessageOutcome.REJECTED
                raise
            except (KitError, RedisError) as exc:
                measured.outcome = MessageOutcome.WAITS
                raise RetryLater(str(exc)) from exc
            except asyncio.CancelledError:
                measured.outcome = MessageOutcome.WAITS
                raise
            # the first is the user's; what follows is for the owner
            measured.outcome = _outcome(message, replies[0])
            return replies

    def failure_notice(self, delivery: Delivery) -> OutgoingMessage | None:
        """What a user hears whose message the queue gives up; strangers hear nothing."""
        try:
            message = parse(delivery)
        except Reject:
            return None
        if self._unknown.get(message.user_id):
            return None
        # perhaps nobody could tell who it is: the bot that let them write knows them
        user = self._users.peek(message.user_id)
        language = user.language if user else None
        if user is not None and user.role is UserRole.BLOCKED:
            return _refusal(message, language)
        text = say(Text.GIVEN_UP, language=language, message=message.text, incident=_new_incident())
        return answer_to(message, text, kind=OutgoingType.NOTICE)

    async def process_message(self, message: IncomingMessage) -> Sequence[OutgoingMessage]:
        """The answer to one message, then what the owner is to know.

        The answer is a reply of the assistant or a notice of the service. Only blocked users are refused:
        whoever writes can be reached, whatever `is_active` says.

        Raises:
            Reject: the user is unknown.
            KitError: rest_service could not be asked and what it would say is not known.
        """
        # one look for user and secretary: both are as of the same moment
        seen = await self._changes.read()
        user = await self._user(message.user_id, seen)
        if user.role is UserRole.BLOCKED:
            log.warning("message_refused", user="blocked")
            return [_refusal(message, user.language)]
        if message.type is IncomingType.RESET:
            removed = sum([await data.forget(user.id) for data in self._user_data])
            log.info("conversations_forgotten", conversations=removed)
            text = say(Text.RESET_DONE, language=user.language)
            return [answer_to(message, text, kind=OutgoingType.NOTICE)]
        return await self._answer(message, user, seen)

    async def _answer(
        self, message: IncomingMessage, user: UserRead, seen: Versions
    ) -> Sequence[OutgoingMessage]:
        """The secretary's reply, or an apology; what either cost is recorded."""
        async with PartialReplies(self._redis, message) as partials:
            context = self._new_context(message, user, partials)
            try:
                async with asyncio.timeout_at(context.deadline):
                    secretary = await self._secretary.get(seen)
                # the run keeps the deadline itself: an answer in hand is stored and sent, however late
                answer = await secretary.process_message(message.text, user.id, context)
            except (AssistantError, TimeoutError) as exc:
                return await self._apologize(message, exc, context)
            finally:
                await self._record_usage(context)
        log.info("reply_sent", **self._cost(context))
        to_owner = await self._trouble.record_success(context.totals.without_tools)
        return [answer_to(message, answer, kind=OutgoingType.REPLY), *to_owner]

    async def _apologize(
        self, message: IncomingMessage, error: AssistantError | TimeoutError, context: RunContext
    ) -> Sequence[OutgoingMessage]:
        """One friendly sentence, whose incident id stands in the log; then what the owner is to know."""
        incident, cause = _new_incident(), text_for(error)
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, TimeoutError):
            reason = f"no answer in {self._message_timeout:g} s"
        log.error("message_failed", incident=incident, reason=reason, **self._cost(context))
        model = error.model if isinstance(error, AssistantError) else None
        to_owner = await self._trouble.record_failure(cause, model)
        text = say(cause, language=context.user.language, message=message.text, incident=incident)
        return [answer_to(message, text, kind=OutgoingType.NOTICE), *to_owner]

    def _new_context(self, message: IncomingMessage, user: UserRead, partials: PartialReplies) -> RunContext:
        now = asyncio.get_running_loop().time()
        return RunContext(
            user=UserProfile.of(user),
            message_id=message.id or f"anonymous:{uuid4().hex}",
            deadline=now + self._message_timeout,
            tools_until=now + self._message_timeout * SHARE_FOR_TOOLS,
            clock=self._clock,
            on_text=partials.on_text if self._stream_replies else None,
        )

    async def _record_usage(self, context: RunContext) -> None:
        # earlier runs of the message are among them: a process that was killed could not record its own
        for totals in context.totals.runs:
            await self._usage.record(
                user_id=context.user.id, message_id=context.message_id, totals=totals, run=totals.run
            )

    def _cost(self, context: RunContext) -> dict[str, float]:
        totals, started = context.totals, context.deadline - self._message_timeout
        return {
            "ms": round((asyncio.get_running_loop().time() - started) * 1000, 1),
            "input_tokens": totals.usage.input_tokens,
            "output_tokens": totals.usage.output_tokens,
            "cached_tokens": totals.usage.cached_tokens,
            "model_calls": totals.model_calls,
            "tool_calls": totals.tool_calls,
        }

    async def _user(self, user_id: int, seen: Versions) -> UserRead:
        try:
            return await self._users.get(user_id, lambda: self._rest.get_user(user_id), versions=seen)
        except NotFoundError as exc:
            self._unknown.put(user_id, value=True)
            raise Reject(f"unknown user {user_id}") from exc


def _refusal(message: IncomingMessage, language: str | None) -> OutgoingMessage:
    """Ends the typing, as every answer does. To a stranger: the bot hands others nothing without access."""
    text = say(Text.NO_ACCESS, language=language, message=message.text)
    notice = answer_to(message, text, kind=OutgoingType.NOTICE)
    return notice.model_copy(update={"to_stranger": True})


def _outcome(message: IncomingMessage, reply: OutgoingMessage) -> MessageOutcome:
    if reply.to_stranger:
        return MessageOutcome.REJECTED
    if message.type is IncomingType.RESET:
        return MessageOutcome.RESET
    return MessageOutcome.ANSWERED if reply.type is OutgoingType.REPLY else MessageOutcome.FAILED


def _new_incident() -> str:
    """An id short enough to be read out, without vowels, so that it is no word."""
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(7))
