"""What the bot learns of a user and rest_service is to know: at once where it can be, else made good later.

A change that rest_service does not take (it is slow, away, or refuses our key) is noted in Redis, field by
field, and tried again in the background until it is taken, by whichever process lives then. When a user
was last seen is only ever written in the background, at most once in `SEEN_EVERY` for each.
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
from service_kit.lifecycle import heed_cancellation
from service_kit.logging import get_logger

from ..client.rest import RestClient
from .identity import Identity

log = get_logger(__name__)

PREFIX = "tg:user_changes:"
"""A hash for each bot, whose people are its own: `<telegram id>:<field>` to its new value as JSON."""
UPDATE_TIMEOUT = 1.5
"""Seconds that a message waits for what is new of its writer to be stored."""
WRITE_EVERY, LONGEST_PAUSE = 5.0, 30.0
"""Seconds between two rounds in the background; more after one in which something had to wait."""
SEEN_EVERY = 300.0
MOST_FAILURES = 3
"""In one round: rest_service is away, then, and the rest waits for the next one."""

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
        """Whose sight is to be written."""
        self._seen_until: dict[int, float] = {}
        """When the next sight of a user is worth writing."""

    @property
    def _key(self) -> str:
        return f"{PREFIX}{self._identity.bot_id}"

    async def apply(self, telegram_id: int, change: UserUpdate) -> None:
        """Have the fields that `change` sets stored, now or later.

        Raises:
            RedisError: it is neither stored nor noted.
        """
        try:
            async with asyncio.timeout(UPDATE_TIMEOUT):
                await self._store(telegram_id, change)
        except _RETRYABLE as exc:
            log.warning("user_change_deferred", telegram_id=telegram_id, error=str(exc) or type(exc).__name__)
            await self._redis.hset(self._key, mapping=dict(_fields(telegram_id, change)))
            return
        # what was noted before is old now, also where nothing had to be stored
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
        """Write in the background what is to be written, for ever."""
        await self._identity.wait_until_known()
        pause, backoff = WRITE_EVERY, Backoff(WRITE_EVERY * 2, LONGEST_PAUSE)
        while True:
            heed_cancellation()
            await self._sleep(pause)
            try:
                all_written = await self.flush()
            except RedisError as exc:
                log.warning("user_changes_unavailable", error=str(exc))
                all_written = False
            if all_written:
                backoff.reset()
            pause = WRITE_EVERY if all_written else backoff.next_delay()

    async def flush(self) -> bool:
        """One round over all that is noted, in any order, so that nobody stands in the others' way.

        False where something has to wait for the next one.
        """
        noted = await self._load()
        for telegram_id, at in self._seen.items():
            noted[telegram_id]["last_seen_at"] = json.dumps(at.isoformat())
        failures, all_written = 0, True
        for telegram_id in random.sample(list(noted), len(noted)):
            if failures == MOST_FAILURES:
                break
            written = await self._retry(telegram_id, noted[telegram_id])
            failures, all_written = (0, all_written) if written else (failures + 1, False)
        return all_written

    async def _load(self) -> defaultdict[int, dict[str, str]]:
        noted: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for key, value in (await self._redis.hgetall(self._key)).items():
            telegram_id, field = _text(key).split(":", 1)
            noted[int(telegram_id)][field] = _text(value)
        return noted

    async def _retry(self, telegram_id: int, fields: Mapping[str, str]) -> bool:
        """Whether rest_service took it, or never will."""
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
        # another value may have been noted meanwhile
        pairs = [part for name, value in fields.items() for part in (f"{telegram_id}:{name}", value)]
        await self._delete_unchanged(keys=[self._key], args=pairs)
        return True

    async def _store(self, telegram_id: int, change: UserUpdate) -> None:
        """Raises what means that rest_service is away; what it refuses for good is logged and left."""
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
