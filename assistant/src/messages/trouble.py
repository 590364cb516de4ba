"""Failing answers: a note on the health page, and a message to the owner.

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
from service_kit.contracts.users import UserRead
from service_kit.errors import KitError, NotFoundError
from service_kit.logging import get_logger

from ..services.rest_service import RestServiceClient
from .owner_texts import NO_TOOLS, is_of_operator, say_mended, say_trouble
from .texts import Text

log = get_logger(__name__)

KEY = "trouble"
TOLD_PREFIX = "trouble_told:"
QUIET = 3600
"""Seconds."""
LASTING = 300.0
"""Seconds that a provider is busy or away before the owner hears of it: most are back by themselves."""
LOOK_EVERY = 10.0
"""Seconds between two looks for causes that other replicas have noted."""
TIMEOUT = 2.0
"""Seconds that a user's answer waits for this, at most."""
_TOLD, _QUIET = b"told", b"quiet"


class Trouble:
    """See the module; one for the process. What it returns is for the owner, after the answer."""

    def __init__(self, redis: aioredis.Redis, rest: RestServiceClient) -> None:
        self._redis = redis
        self._rest = rest
        self._failures = 0
        self._since = 0.0
        """When the first of them was, on the event loop's clock."""
        self._last = ""
        self._known: set[str] = set()
        """Causes that are noted in Redis."""
        self._may_be_noted = True
        """Whether there may be causes to take back, noted by this process or the one before it."""
        self._looked = 0.0
        """When they were looked for, on the event loop's clock."""

    async def look(self) -> str | None:
        """For the health page: how many answers failed since the last one that did not, and why."""
        if not self._failures:
            return None
        count = "the last answer" if self._failures == 1 else f"the last {self._failures} answers"
        return f"{count} failed: {self._last}"

    async def record_failure(self, cause: str, model: str | None) -> list[OutgoingMessage]:
        """A message got no answer; returns what the owner is told."""
        now = asyncio.get_running_loop().time()
        self._since = self._since if self._failures else now
        self._failures += 1
        self._last = f"{cause} ({model})" if model else cause
        # busy providers recover by themselves, most of the time
        if cause == Text.BUSY and now - self._since < LASTING:
            return []
        told: list[OutgoingMessage] = []
        async with _suppress_failures("owner_not_notified", cause):
            told += await self._note(cause, model)
        return told

    async def record_success(self, without_tools: Collection[str] = ()) -> list[OutgoingMessage]:
        """A message got its answer; returns what the owner is told.

        `without_tools` names the models that took no tools.
        """
        self._failures = 0
        told: list[OutgoingMessage] = []
        async with _suppress_failures("failures_not_cleared", "answered"):
            for model in without_tools:
                told += await self._note(NO_TOOLS, model)
            if self._may_be_noted or asyncio.get_running_loop().time() - self._looked >= LOOK_EVERY:
                told += await self._settle(staying={NO_TOOLS} if without_tools else set())
        return told

    async def _note(self, cause: str, model: str | None) -> list[OutgoingMessage]:
        self._may_be_noted = True
        if cause in self._known or not is_of_operator(cause):
            return []
        try:
            owner = await self._rest.get_owner()
        except NotFoundError:
            return []
        # two conditions, both atomic: one replica tells, and a cause that comes and goes is told once an hour
        is_told = await self._redis.hsetnx(KEY, cause, _QUIET) and await self._redis.set(
            f"{TOLD_PREFIX}{cause}", 1, nx=True, ex=QUIET
        )
        self._known.add(cause)
        if not is_told:
            return []
        await self._redis.hset(KEY, cause, _TOLD)
        log.warning("owner_notified", cause=cause, model=model)
        return [_to(owner, say_trouble(cause, model, owner.language))]

    async def _settle(self, staying: Collection[str]) -> list[OutgoingMessage]:
        self._looked = asyncio.get_running_loop().time()
        noted = cast("dict[bytes, bytes]", await self._redis.hgetall(KEY))
        over = [cause for cause in noted if cause.decode() not in staying]
        # of several replicas one takes a cause back, and tells so
        told = [cause for cause in over if await self._redis.hdel(KEY, cause) and noted[cause] == _TOLD]
        self._known &= set(staying)
        self._may_be_noted = bool(staying)
        if not told:
            return []
        owner = await self._rest.get_owner()
        texts = {say_mended(cause.decode(), owner.language) for cause in told}
        return [_to(owner, text) for text in sorted(texts)]


def _to(owner: UserRead, text: str) -> OutgoingMessage:
    return OutgoingMessage(id=f"trouble:{uuid4().hex}", type=OutgoingType.NOTICE, user_id=owner.id, text=text)


@asynccontextmanager
async def _suppress_failures(event: str, cause: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except (RedisError, KitError, OSError, TimeoutError) as exc:
        log.warning(event, cause=cause, reason=str(exc) or type(exc).__name__)
