"""What the bot learns about a user goes to rest_service: at once where possible, else later.

A change that rest_service does not accept now (it is slow, away, or refuses our key) is kept in Redis, field
by field. A background task retries it until it is accepted; a restarted process goes on with it. The time a
user was last seen is only written in the background, at most once in `SEEN_EVERY` for each user.
"""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NoReturn

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.backoff import Backoff
from service_kit.contracts.users import UserUpdate
from service_kit.errors import AccessError, KitError, TransientError
from service_kit.lifecycle import raise_if_cancelled
from service_kit.logging import get_logger

from ..client.rest import RestClient
from .identity import Identity

log = get_logger(__name__)

PREFIX = "tg:user_changes:"
"""A hash for each bot, whose people are its own: `<telegram id>:<field>` to its new value as JSON."""
UPDATE_TIMEOUT = 1.5
"""Seconds that a message waits until the change of its writer is stored."""
FLUSH_EVERY, LONGEST_PAUSE = 5.0, 30.0
"""Seconds between two rounds in the background; more after one in which something had to wait."""
SEEN_EVERY = 300.0
MOST_FAILURES = 3
"""In a row: rest_service is away then, and the rest waits for the next round."""

_DELETE_UNCHANGED = """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 0
"""

_RETRYABLE = (TransientError, AccessError, TimeoutError)


class UserChanges:
    """Changes of users by their Telegram id."""

    def __init__(
        self,
        identity: Identity,
        rest: RestClient,
        redis: aioredis.Redis,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._identity = identity
        self._rest = rest
        self._redis = redis
        self._now = now
        self._sleep = sleep
        self._delete_unchanged = redis.register_script(_DELETE_UNCHANGED)
        self._seen: dict[int, datetime] = {}
        """When users were last seen, not written yet."""
        self._seen_until: dict[int, float] = {}
        """Until then a new time is not worth writing."""

    @property
    def _key(self) -> str:
        return f"{PREFIX}{self._identity.bot_id}"

    async def apply(self, telegram_id: int, change: UserUpdate) -> None:
        """Store the fields that `change` sets, now or later.

        Raises:
            RedisError: the change is neither stored nor kept for later.
        """
        try:
            async with asyncio.timeout(UPDATE_TIMEOUT):
                await self._store(telegram_id, change)
        except _RETRYABLE as exc:
            log.warning("user_change_deferred", telegram_id=telegram_id, error=str(exc) or type(exc).__name__)
            await self._redis.hset(self._key, mapping=dict(_fields(telegram_id, change)))
            return
        # an earlier value that still waits is outdated now, also where nothing had to be stored
        await self._redis.hdel(self._key, *dict(_fields(telegram_id, change)))

    def record_seen(self, telegram_id: int, at: datetime) -> None:
        """The user wrote at `at`."""
        now = self._now()
        if now < self._seen_until.get(telegram_id, now):
            return
        self._seen_until = {one: until for one, until in self._seen_until.items() if until > now}
        self._seen_until[telegram_id] = now + SEEN_EVERY
        self._seen[telegram_id] = at

    async def run(self) -> NoReturn:
        """Flush in the background, for ever."""
        await self._identity.wait_until_known()
        pause, backoff = FLUSH_EVERY, Backoff(FLUSH_EVERY * 2, LONGEST_PAUSE)
        while True:
            raise_if_cancelled()
            await self._sleep(pause)
            try:
                is_complete = await self.flush()
            except RedisError as exc:
                log.warning("user_changes_unavailable", error=str(exc))
                is_complete = False
            if is_complete:
                backoff.reset()
            pause = FLUSH_EVERY if is_complete else backoff.next_delay()

    async def flush(self) -> bool:
        """Write all that waits, in random order, so that one user cannot block the others.

        Returns False where something has to wait for the next round.
        """
        pending = await self._load()
        for telegram_id, at in self._seen.items():
            pending[telegram_id]["last_seen_at"] = json.dumps(at.isoformat())
        failures, is_complete = 0, True
        # at random: a user whose change always fails must not always be the first
        for telegram_id in random.sample(list(pending), len(pending)):
            if failures == MOST_FAILURES:
                break
            written = await self._retry(telegram_id, pending[telegram_id])
            failures, is_complete = (0, is_complete) if written else (failures + 1, False)
        return is_complete

    async def _load(self) -> defaultdict[int, dict[str, str]]:
        pending: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for key, value in (await self._redis.hgetall(self._key)).items():
            telegram_id, field = _text(key).split(":", 1)
            pending[int(telegram_id)][field] = _text(value)
        return pending

    async def _retry(self, telegram_id: int, fields: Mapping[str, str]) -> bool:
        """Whether the change is off the list: rest_service accepted it, or never will."""
        change = UserUpdate.model_validate({name: json.loads(value) for name, value in fields.items()})
        seen = self._seen.get(telegram_id)
        try:
            async with asyncio.timeout(UPDATE_TIMEOUT):
                await self._store(telegram_id, change)
        except _RETRYABLE as exc:
            log.info(
                "user_change_retry_failed", telegram_id=telegram_id, error=str(exc) or type(exc).__name__
            )
            return False
        if self._seen.get(telegram_id) == seen:
            self._seen.pop(telegram_id, None)
        # a newer value may have been kept meanwhile: only the one that was written goes
        pairs = [part for name, value in fields.items() for part in (f"{telegram_id}:{name}", value)]
        await self._delete_unchanged(keys=[self._key], args=pairs)
        return True

    async def _store(self, telegram_id: int, change: UserUpdate) -> None:
        """Write to rest_service. What it refuses for good is logged and dropped.

        Raises:
            TransientError, AccessError: rest_service is away, or refuses our key.
        """
        try:
            user = await self._rest.get_user(telegram_id)
            new = change.model_dump(exclude_unset=True)
            if user is None or all(getattr(user, name) == value for name, value in new.items()):
                return
            await self._rest.update_user(user, change)
        except _RETRYABLE:
            raise
        except KitError as exc:
            log.warning("user_update_rejected", telegram_id=telegram_id, error=str(exc))
        else:
            log.info("user_updated", user_id=user.id, fields=sorted(new))


def _fields(telegram_id: int, change: UserUpdate) -> list[tuple[str, str]]:
    values = change.model_dump(mode="json", exclude_unset=True)
    return [(f"{telegram_id}:{name}", json.dumps(value)) for name, value in values.items()]


def _text(stored: bytes | str) -> str:
    return stored.decode() if isinstance(stored, bytes) else stored
