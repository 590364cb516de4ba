"""What keeps people from getting answers: a note on the health page, and a word to the owner.

The owner is told once of each cause, and once when it is over; not of what users can mend themselves.

Keys: `trouble` HASH, cause → whether the owner was told; `trouble_told:<cause>`, there for QUIET seconds
after they were told, so that what comes and goes is no flood. Replicas share both: one of them tells.

Bookkeeping must never end a message: what fails here is logged, and tried again at the next failure.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast
from uuid import uuid4

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.contracts.messages import OutgoingMessage, OutgoingType
from service_kit.errors import KitError, NotFoundError
from service_kit.logging import get_logger
from service_kit.queue.base import Producer

from ..services.rest_service import RestServiceClient
from .owner_texts import NO_TOOLS, is_of_operator, say_mended, say_trouble

log = get_logger(__name__)

KEY = "trouble"
TOLD_PREFIX = "trouble_told:"
QUIET = 3600
"""Seconds."""
TIMEOUT = 2.0
"""Seconds that a user's answer waits for this, at most."""
_TOLD, _QUIET = b"told", b"quiet"


class Trouble:
    """See the module; one for the process. `queue` is the one that leads to people's chats."""

    def __init__(
        self, redis: aioredis.Redis, rest: RestServiceClient, producer: Producer, *, queue: str
    ) -> None:
        self._redis = redis
        self._rest = rest
        self._producer = producer
        self._queue = queue
        self._failures = 0
        self._last = ""
        self._known: set[str] = set()
        """Causes that are noted in Redis."""
        self._may_be_noted = True
        """Whether there may be causes to take back, noted by this process or the one before it."""

    async def look(self) -> str | None:
        """For the health page: how many answers failed since the last one that did not, and why."""
        if not self._failures:
            return None
        count = "the last answer" if self._failures == 1 else f"the last {self._failures} answers"
        return f"{count} failed: {self._last}"

    async def failed(self, cause: str, model: str | None) -> None:
        """A message got no answer."""
        self._failures += 1
        self._last = f"{cause} ({model})" if model else cause
        async with _harmless("trouble_not_told", cause):
            await self._note(cause, model)

    async def answered(self, without_tools: Collection[str] = ()) -> None:
        """A message got its answer; by models that took no tools, where any are named."""
        self._failures = 0
        async with _harmless("trouble_not_settled", "answered"):
            for model in without_tools:
                await self._note(NO_TOOLS, model)
            if self._may_be_noted:
                await self._settle(staying={NO_TOOLS} if without_tools else set())

    async def _note(self, cause: str, model: str | None) -> None:
        self._may_be_noted = True
        if cause in self._known or not is_of_operator(cause):
            return
        try:
            owner = await self._rest.get_owner()
        except NotFoundError:
            return
        if await self._redis.hsetnx(KEY, cause, _QUIET) and await self._redis.set(
            f"{TOLD_PREFIX}{cause}", 1, nx=True, ex=QUIET
        ):
            await self._redis.hset(KEY, cause, _TOLD)
            await self._tell(owner.id, say_trouble(cause, model, owner.language))
            log.warning("owner_told", cause=cause, model=model)
        self._known.add(cause)

    async def _settle(self, staying: Collection[str]) -> None:
        noted = cast("dict[bytes, bytes]", await self._redis.hgetall(KEY))
        over = [cause for cause in noted if cause.decode() not in staying]
        # of several replicas one takes a cause back, and tells so
        told = [cause for cause in over if await self._redis.hdel(KEY, cause) and noted[cause] == _TOLD]
        self._known &= set(staying)
        self._may_be_noted = bool(staying)
        if told:
            owner = await self._rest.get_owner()
            for text in {say_mended(cause.decode(), owner.language) for cause in told}:
                await self._tell(owner.id, text)

    async def _tell(self, owner_id: int, text: str) -> None:
        message = OutgoingMessage(
            id=f"trouble:{uuid4().hex}", type=OutgoingType.NOTICE, user_id=owner_id, text=text
        )
        await self._producer.enqueue(self._queue, message)


@asynccontextmanager
async def _harmless(event: str, cause: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except (RedisError, KitError, OSError, TimeoutError) as exc:
        log.warning(event, cause=cause, reason=str(exc) or type(exc).__name__)
