"""From a message on the queue to its answer.

A message is finished in one of three ways: an answer, one friendly sentence (the model or its
provider failed: another try now would not help the user who waits; or the user has no access), or back to
the queue (our own parts are away: rest_service, Redis; the message waits for them). Only what is no message,
or of nobody we know, goes to the dead letters at once.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.changes import ChangeAwareCache, ChangeCounters, Topic, Versions
from service_kit.clock import Clock
from service_kit.contracts.assistants import AssistantTree
from service_kit.contracts.messages import IncomingMessage, IncomingType, OutgoingMessage, OutgoingType
from service_kit.contracts.users import UserRead, UserRole
from service_kit.errors import KitError, NotFoundError
from service_kit.logging import correlated, get_logger
from service_kit.queue.base import Delivery, Reject, RetryLater

from .assistants.base import BaseAssistant
from .assistants.factory import AssistantFactory
from .core import metrics
from .core.errors import AssistantError, ConfigurationError, NoSecretaryError
from .core.metrics import MessageOutcome
from .core.run_context import SHARE_FOR_TOOLS, RunContext, RunTotals, UserProfile
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


@dataclass(frozen=True, slots=True)
class _Built:
    """A secretary, and the trees that were read for it: its own is the last, the others cannot be built."""

    trees: list[AssistantTree]
    secretary: BaseAssistant


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
        self._factory = factory
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
        self._secretaries: ChangeAwareCache[BaseAssistant] = ChangeAwareCache(redis, Topic.CONFIGURATION)
        self._built: _Built | None = None

    async def initialize(self) -> None:
        """Build the secretary before the first message; where that fails, the first message tries again."""
        try:
            await self._secretary(await self._changes.look())
        except (KitError, ConfigurationError) as exc:
            log.warning("no_secretary_yet", reason=str(exc))

    async def handle(self, delivery: Delivery) -> Sequence[OutgoingMessage]:
        """The queue's handler.

        Raises:
            Reject: no message, or of an unknown user.
            RetryLater: rest_service or Redis is away and what we need of it is not known.
        """
        with metrics.message() as measured:
            try:
                message = parse(delivery)
                with correlated(message.correlation, user_id=message.user_id):
                    log.info("message_received", type=message.type, attempt=delivery.attempt)
                    replies = await self._served(message)
            except Reject:
                measured.outcome = MessageOutcome.REJECTED
                raise
            except (RetryLater, asyncio.CancelledError):
                measured.outcome = MessageOutcome.WAITS
                raise
            measured.outcome = _outcome(message, replies[0])
            return replies

    async def _served(self, message: IncomingMessage) -> Sequence[OutgoingMessage]:
        try:
            return await self.process_message(message)
        except (KitError, RedisError) as exc:
            raise RetryLater(str(exc)) from exc

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
        text = say(Text.GIVEN_UP, language=language, message=message.text, incident=_incident())
        return answer_to(message, text, kind=OutgoingType.NOTICE)

    async def process_message(self, message: IncomingMessage) -> Sequence[OutgoingMessage]:
        """The answer to one message, a reply or a notice of the service itself; then what the owner is told.

        Whoever writes can be reached, whatever `is_active` says: only the blocked are refused, and told so.

        Raises:
            Reject: the user is unknown.
            KitError: rest_service could not be asked and what it would say is not known.
        """
        seen = await self._changes.look()
        user = await self._user(message.user_id, seen)
        if user.role is UserRole.BLOCKED:
            log.warning("message_refused", user="blocked")
            return [_refusal(message, user.language)]
        if message.type is IncomingType.RESET:
            removed = sum([await data.forget(user.id) for data in self._user_data])
            log.info("conversations_forgotten", conversations=removed)
            text = say(Text.RESET_DONE, language=user.language)
            return [answer_to(message, text, kind=OutgoingType.NOTICE)]
        return await self._answered(message, user, seen)

    async def _answered(
        self, message: IncomingMessage, user: UserRead, seen: Versions
    ) -> Sequence[OutgoingMessage]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with PartialReplies(self._redis, message) as partials:
            context = RunContext(
                user=UserProfile.of(user),
                message_id=message.id or f"anonymous:{uuid4().hex}",
                deadline=started + self._message_timeout,
                tools_until=started + self._message_timeout * SHARE_FOR_TOOLS,
                clock=self._clock,
                on_text=partials.on_text if self._stream_replies else None,
            )
            answer = await self._run_and_charge(message, context, seen)
        cost = {"ms": round((loop.time() - started) * 1000, 1), **_cost(context.totals)}
        if isinstance(answer, str):
            log.info("reply_sent", **cost)
            told = await self._trouble.answered(context.totals.without_tools)
            return [answer_to(message, answer, kind=OutgoingType.REPLY), *told]
        incident = _incident()
        log.error("message_failed", incident=incident, reason=self._reason(answer), **cost)
        cause = text_for(answer)
        told = await self._trouble.failed(cause, answer.model if isinstance(answer, AssistantError) else None)
        text = say(cause, language=user.language, message=message.text, incident=incident)
        return [answer_to(message, text, kind=OutgoingType.NOTICE), *told]

    async def _run_and_charge(
        self, message: IncomingMessage, context: RunContext, seen: Versions
    ) -> str | AssistantError | TimeoutError:
        """The secretary's answer, or why there is none; what it cost is noted in either case.

        And what earlier runs cost whose process was killed before it could say so.
        """
        try:
            async with asyncio.timeout_at(context.deadline):
                secretary = await self._secretary(seen)
            # its run keeps the deadline itself; what it has answered is stored and said, however late
            return await secretary.process_message(message.text, message.user_id, context)
        except (AssistantError, TimeoutError) as exc:
            return exc
        finally:
            for totals in context.totals.runs:
                await self._usage.record(
                    user_id=context.user.id, message_id=context.message_id, totals=totals, run=totals.run
                )

    def _reason(self, error: AssistantError | TimeoutError) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer in {self._message_timeout:g} s"
        return f"{type(error).__name__}: {error}"

    async def _user(self, user_id: int, seen: Versions) -> UserRead:
        try:
            return await self._users.get(user_id, lambda: self._rest.get_user(user_id), seen=seen)
        except NotFoundError as exc:
            self._unknown.put(user_id, value=True)
            raise Reject(f"unknown user {user_id}") from exc

    async def _secretary(self, seen: Versions) -> BaseAssistant:
        """The secretary as it is configured now; as it was when rest_service is away."""
        try:
            return await self._secretaries.get("secretary", self._build_secretary, seen=seen)
        except NoSecretaryError:
            self._secretaries.drop("secretary")  # or the former one would answer while rest_service is away
            raise

    async def _build_secretary(self) -> BaseAssistant:
        """The default secretary, or the oldest other active one that can be built.

        Rows are read each time that the cache's entry is old; what they say is built only when it is new.

        Raises:
            NoSecretaryError: there is none.
            KitError: rest_service did not answer.
        """
        left_out: list[str] = []
        trees: list[AssistantTree] = []
        for row in await self._rest.get_secretaries():
            try:
                trees.append(await self._rest.get_tree(row.id))
                if self._built is not None and self._built.trees[: len(trees)] == trees:
                    if len(trees) == len(self._built.trees):
                        return self._built.secretary
                    left_out.append(row.name)
                    continue
                secretary = self._factory.create_main_assistant(trees[-1], left_out)
            except NotFoundError:
                log.info("secretary_gone", assistant=row.name)
            except ConfigurationError as exc:
                log.warning("secretary_skipped", assistant=row.name, reason=str(exc))
                left_out.append(row.name)
            else:
                log.info("secretary_ready", assistant=secretary.name, left_out=left_out)
                metrics.configuration_built(len(left_out))
                self._built = _Built(trees, secretary)
                return secretary
        metrics.configuration_built(len(left_out))
        raise NoSecretaryError("no active assistant with is_secretary that can be built")


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


def _cost(totals: RunTotals) -> dict[str, int]:
    return {
        "input_tokens": totals.usage.input_tokens,
        "output_tokens": totals.usage.output_tokens,
        "cached_tokens": totals.usage.cached_tokens,
        "model_calls": totals.model_calls,
        "tool_calls": totals.tool_calls,
    }


def _incident() -> str:
    """Short enough to be read out, letters only, no word; stands in the sentence and in the log."""
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(7))
