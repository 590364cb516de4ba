"""Which conversation at the provider belongs to a user and an assistant, and what it holds.

The row in rest_service (UserAssistantThread) is the record: one a user and assistant, deleted with
either of them, and whatever it named before is put on the list of discards. Beside it, in Redis, stands
how far the conversation had come: `threads:<user id>` HASH, assistant id → `KnownThread` as JSON.

The turns in Redis are the truth. The provider's conversation is a copy, used only where it is known to be
equal. So a run takes what is known *out* of Redis and puts it back at its end: after a crash, a failure in
mid-run, or a second run at the same time nothing is there, and the next run makes a new conversation out of
the turns. The same happens when turns were compacted into a summary, forgotten, or
added without the provider (a fallback model answered).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar, cast
from uuid import UUID
from weakref import WeakValueDictionary

import redis.asyncio as aioredis
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError

from service_kit.clock import Clock
from service_kit.contracts.threads import UserThreadCreate, UserThreadRead, UserThreadUpdate
from service_kit.errors import ConflictError, KitError, NotFoundError, RestUnavailableError
from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.rest import endpoints
from service_kit.rest.client import AsyncRestClient

from ..core.model import AssistantMessage, Message, ToolMessage
from ..core.thread_backend import delete_unless_complete
from ..utils.text import compact_json

log = get_logger(__name__)

T = TypeVar("T")

FORGET = "threads:forget"
"""SET of `<user id>:<seconds since 1970>`: whose rows are to go, as they were at that time."""
TOUCH_EVERY = 300.0
"""Seconds between two notes in rest_service that a thread is in use."""
TOUCH_TIMEOUT = 1.0
"""Seconds: the answer is there and waits for this note."""
REST_TIMEOUT = 3.0
"""Seconds for a call of rest_service before the model has been asked."""


@dataclass(frozen=True, slots=True)
class KnownThread:
    """A conversation at the provider, and the messages it holds: how many and their digest."""

    row_id: UUID
    thread_id: str
    held: int
    digest: str
    touched: float
    """When rest_service was last told that it is in use; seconds since 1970."""

    def holds(self, messages: Sequence[Message]) -> bool:
        """Whether the conversation holds the beginning of `messages` and nothing else."""
        return self.held <= len(messages) and digest_of(messages[: self.held]) == self.digest


_known: TypeAdapter[KnownThread] = TypeAdapter(KnownThread)


def digest_of(messages: Sequence[Message]) -> str:
    """The same for equal messages; what only the provider can read does not count."""
    return blake2b(
        compact_json([_plain(message) for message in messages]).encode(), digest_size=16
    ).hexdigest()


def _plain(message: Message) -> list[object]:
    match message:
        case AssistantMessage(text=text, tool_calls=calls):
            return ["assistant", text, [[call.id, call.name, call.arguments] for call in calls]]
        case ToolMessage(call_id=call_id, text=text):
            return ["tool", text, call_id]
        case _:
            return ["user", message.text]


class ProviderThreads:
    """The threads of all users with all assistants."""

    def __init__(
        self, redis: aioredis.Redis, rest: AsyncRestClient, *, clock: Clock, retention_s: float
    ) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)
        self._rest = rest
        self._clock = clock
        self._retention_ms = int(retention_s * 1000)
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()
        self.forgotten = asyncio.Event()
        """Set when there is something for the sweeper to do at once."""

    def lock(self, user_id: int, assistant_id: str) -> asyncio.Lock:
        """Held during a run: the provider refuses two at once on one conversation."""
        return self._locks.setdefault((user_id, assistant_id), asyncio.Lock())

    async def take(self, user_id: int, assistant_id: str) -> KnownThread | None:
        """What is known of the pair's conversation; from now on nothing is, until `save`."""
        # in one transaction: of two runs at the same time one gets it
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(_key(user_id), assistant_id)
            pipe.hdel(_key(user_id), assistant_id)
            raw, _ = await pipe.execute()
        try:
            return None if raw is None else _known.validate_json(raw)
        except ValidationError:
            return None

    async def save(self, user_id: int, assistant_id: str, known: KnownThread) -> None:
        """The conversation is as `known` says; now and then rest_service hears that it is in use."""
        now = self._clock.now()
        if now.timestamp() - known.touched >= TOUCH_EVERY:
            await self._touch(known)
            known = replace(known, touched=now.timestamp())
        try:
            await self._writer.write(
                ("HSET", _key(user_id), assistant_id, _known.dump_json(known)),
                ("PEXPIRE", _key(user_id), self._retention_ms),
            )
        except RedisError as exc:  # the answer is there; the next message makes a new conversation
            log.warning("thread_not_saved", reason=type(exc).__name__)

    async def _touch(self, known: KnownThread) -> None:
        change = UserThreadUpdate(last_used=self._clock.now())
        try:
            async with asyncio.timeout(TOUCH_TIMEOUT):
                await self._rest.send(endpoints.update_thread(known.row_id, change))
        except (KitError, TimeoutError) as exc:
            log.info("thread_not_touched", reason=str(exc) or type(exc).__name__)

    async def create(
        self,
        user_id: int,
        assistant_id: str,
        *,
        create: Callable[[], Awaitable[str]],
        delete: Callable[[str], Awaitable[None]],
    ) -> UserThreadRead:
        """The pair's row with a conversation that `create` has made.

        Where another replica has made one at the same moment, with that one, and ours is deleted again.

        Raises:
            KitError: rest_service did not take it; then it is deleted at the provider again.
            ModelError: the provider did not make one.
        """
        pair = (user_id, UUID(assistant_id))
        rows = await self._send(endpoints.threads(*pair))
        thread_id = await create()
        try:
            async with delete_unless_complete(thread_id, delete):
                if rows:
                    change = UserThreadUpdate(thread_id=thread_id, last_used=self._clock.now())
                    return await self._send(endpoints.update_thread(rows[0].id, change))
                new = UserThreadCreate(user_id=user_id, assistant_id=pair[1], thread_id=thread_id)
                return await self._send(endpoints.create_thread(new))
        except ConflictError:
            # another replica was first; ours is deleted again already
            rows = await self._send(endpoints.threads(*pair))
            if not rows:
                raise
            return rows[0]

    async def _send(self, call: endpoints.Call[T]) -> T:
        """The answer, within less time than the client allows: a user waits, and can be answered without."""
        try:
            async with asyncio.timeout(REST_TIMEOUT):
                return await self._rest.send(call)
        except TimeoutError as exc:
            msg = f"{call.method} {call.path}: no answer in {REST_TIMEOUT:g} s"
            raise RestUnavailableError(msg) from exc

    async def forget(self, user_id: int) -> int:
        """Continue no thread of this user; the sweeper deletes them at the provider.

        Returns how many threads could have been continued.
        """
        count, _, _ = await self._writer.write(
            ("HLEN", _key(user_id)),
            ("DEL", _key(user_id)),
            ("SADD", FORGET, f"{user_id}:{self._clock.now().timestamp()}"),
        )
        self.forgotten.set()
        return int(count)

    async def delete_forgotten_rows(self) -> None:
        """Delete the rows of users who have reset their conversation, as they were before; for the sweeper.

        Raises:
            KitError: rest_service is away; what is left stays on the list.
        """
        requests = await cast("Awaitable[set[bytes]]", self._redis.smembers(FORGET))
        # where no assistant keeps threads, nobody has rows: not one question for each request
        if len(requests) > 1 and not await self._rest.send(endpoints.any_thread()):
            await self._redis.srem(FORGET, *requests)
            return
        for request in requests:
            user, _, since = request.decode().partition(":")
            for row in await self._rest.send(endpoints.user_threads(int(user))):
                # a row that changed since then has a conversation of the new time
                if row.updated_at.timestamp() <= float(since):
                    with suppress(NotFoundError):
                        await self._rest.send(endpoints.delete_thread(row.id))
            await self._redis.srem(FORGET, request)


def _key(user_id: int) -> str:
    return f"threads:{user_id}"
