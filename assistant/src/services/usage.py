"""What messages cost: recorded in Redis at once, posted to rest_service about once a second.

Keys: `usage:pending` LIST of `UsageCreate` as JSON, oldest first; `usage:poster` whose turn it is to post,
among all replicas.

A reply waits for its records to be in Redis (one command, shared by all messages that end at the same
time), but not long, and never for rest_service. Posting happens at least once: a process that dies
between the post and the removal leaves the records there, they are posted again, and rest_service knows
them by their ids. Removal takes from the front what was posted and nothing else, so that two replicas
that post at the same time do not harm each other.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import cast
from uuid import UUID

import redis.asyncio as aioredis
from pydantic import ValidationError
from redis.exceptions import RedisError

from service_kit.backoff import Backoff
from service_kit.clock import Clock
from service_kit.contracts.usage import MAX_RECORDS, UsageCreate, UsageKind
from service_kit.errors import KitError, RestError
from service_kit.lifecycle import raise_if_cancelled
from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter

from ..core import metrics
from ..core.metrics import UsageFate
from ..core.run_context import ModelUse, RunTotals
from .rest_service import RestServiceClient

log = get_logger(__name__)

PENDING = "usage:pending"
POSTER = "usage:poster"
MAX_PENDING = 100_000
"""Records in Redis; of more, the oldest go."""
MAX_UNWRITTEN = 10_000
"""Records in memory while Redis is away; of more, the oldest go."""
BATCH = 1_000
"""Records that go to Redis in one command."""
REPLY_WAITS = 0.5
"""Seconds that a reply waits for its records to be in Redis, at most."""
EVERY, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two posts, and while rest_service is away."""
DRAIN = 3.0
"""Seconds for what is left at the end; the rest waits in Redis for another process."""

_ID_LENGTH = 400
_FOR_GOOD = frozenset({413, 422})
"""Statuses of a request that is too long or holds a wrong record: the same one would never be taken."""

_TAKE_FROM_FRONT = """#!lua flags=allow-oom
local posted = {}
for _, value in ipairs(ARGV) do posted[value] = true end
local head = redis.call('LINDEX', KEYS[1], 0)
while head and posted[head] do
  redis.call('LPOP', KEYS[1])
  head = redis.call('LINDEX', KEYS[1], 0)
end
"""


class UsageLog:
    """Records what models were used for, and posts it; one for the process."""

    def __init__(self, redis: aioredis.Redis, rest: RestServiceClient, clock: Clock) -> None:
        self._redis = redis
        self._writer = OomSafeWriter(redis)
        self._rest = rest
        self._clock = clock
        self._take_from_front = redis.register_script(_TAKE_FROM_FRONT)
        self._unwritten: list[bytes] = []
        self._writing = asyncio.Lock()

    async def record(
        self,
        *,
        user_id: int,
        message_id: str,
        totals: RunTotals,
        kind: UsageKind = UsageKind.ANSWER,
        run: str = "",
    ) -> None:
        """Note what one message used; returns when it is in Redis, or after REPLY_WAITS. Never fails.

        `run` tells runs of the same message apart: each has asked models, and each is counted. Recorded
        twice, the first time counts.
        """
        for use in totals.uses.values():
            record_id = _record_id(message_id, use, kind, run)
            try:
                record = self._record(record_id, user_id, message_id, use, kind)
            except ValueError as exc:
                log.warning("usage_not_recordable", record_id=record_id, reason=type(exc).__name__)
                metrics.count_usage_records(UsageFate.REFUSED, 1)
            else:
                self._unwritten.append(record.model_dump_json().encode())
        try:
            async with asyncio.timeout(REPLY_WAITS):
                await self._write()
        except (RedisError, TimeoutError) as exc:
            log.warning("usage_not_in_redis_yet", records=len(self._unwritten), reason=type(exc).__name__)

    async def run(self) -> None:
        """Post until cancelled."""
        pause, backoff = EVERY, Backoff(2 * EVERY, LONGEST_PAUSE)
        while True:
            raise_if_cancelled()
            await asyncio.sleep(pause)
            try:
                await self._write()
                # one replica a second is enough
                if await self._claim_turn():
                    await self._post_all()
            except (KitError, RedisError) as exc:
                if pause == EVERY:
                    log.warning("usage_post_failed", reason=str(exc))
                pause = backoff.next_delay()
            except Exception:  # a bug here must not end the service that answers people
                log.exception("usage_broken")
                pause = LONGEST_PAUSE
            else:
                if pause != EVERY:
                    log.info("usage_post_recovered")
                backoff.reset()
                pause = EVERY

    async def drain(self) -> None:
        """Post what is left, as far as that goes in DRAIN seconds; `run` has ended before."""
        try:
            async with asyncio.timeout(DRAIN):
                await self._write()
                await self._post_all()
        except (KitError, RedisError, TimeoutError) as exc:
            log.warning("usage_left_in_redis", unwritten=len(self._unwritten), reason=str(exc))

    async def _claim_turn(self) -> bool:
        (taken,) = await self._writer.write(("SET", POSTER, b"", "NX", "PX", int(EVERY * 900)))
        return taken is not None

    def _record(
        self, record_id: str, user_id: int, message_id: str, use: ModelUse, kind: UsageKind
    ) -> UsageCreate:
        return UsageCreate(
            id=record_id,
            message_id=message_id,
            user_id=user_id,
            assistant_id=UUID(use.assistant_id),
            assistant=use.assistant,
            model=use.model,
            kind=kind,
            input_tokens=use.usage.input_tokens,
            cached_tokens=use.usage.cached_tokens,
            output_tokens=use.usage.output_tokens,
            model_calls=use.calls,
            duration_ms=round(use.seconds * 1000),
            at=self._clock.now(),
        )

    async def _write(self) -> None:
        """Bring what is in memory to Redis; raises RedisError, and then it is still in memory."""
        async with self._writing:
            # whoever waited here finds, most often, that the one before took its records along
            while self._unwritten:
                await self._write_some()

    async def _write_some(self) -> None:
        # taken out before the await: what is recorded meanwhile must not be lost, nor written twice
        batch, self._unwritten = self._unwritten[:BATCH], self._unwritten[BATCH:]
        waiting = 0
        try:
            (waiting,) = await self._writer.write(("RPUSH", PENDING, *batch))
        finally:
            if not waiting:
                self._unwritten = _newest([*batch, *self._unwritten], MAX_UNWRITTEN)
        if waiting > MAX_PENDING:
            await cast("Awaitable[str]", self._redis.ltrim(PENDING, -MAX_PENDING, -1))
            _report_dropped(waiting - MAX_PENDING)

    async def _post_all(self) -> None:
        full = True
        while full:
            raws = await cast("Awaitable[list[bytes]]", self._redis.lrange(PENDING, 0, MAX_RECORDS - 1))
            full = len(raws) == MAX_RECORDS
            if raws:
                # posted before removed: dying in between repeats it, and rest_service knows the ids
                await self._post(_first_of_each(raws))
                await self._take_from_front(keys=[PENDING], args=raws)

    async def _post(self, records: Sequence[UsageCreate]) -> None:
        """Post them; what rest_service refuses for good is looked for by halves and given up alone."""
        if not records:
            return
        try:
            await self._rest.record_usage(records)
        except RestError as exc:
            if exc.status not in _FOR_GOOD:
                raise
            if len(records) > 1:
                middle = len(records) // 2
                await self._post(records[:middle])
                await self._post(records[middle:])
                return
            log.warning("usage_record_refused", record_id=records[0].id, reason=str(exc))
            metrics.count_usage_records(UsageFate.REFUSED, 1)
        else:
            metrics.count_usage_records(UsageFate.STORED, len(records))


def _record_id(message_id: str, use: ModelUse, kind: UsageKind, run: str) -> str:
    """The same for the same use, whoever posts it; its end is a hash where it would be too long."""
    whole = f"{message_id}:{use.assistant_id}:{use.model}:{kind}" + (f":{run}" if run else "")
    if len(whole) <= _ID_LENGTH:
        return whole
    digest = sha256(whole.encode()).hexdigest()
    return f"{whole[: _ID_LENGTH - len(digest) - 1]}~{digest}"


def _first_of_each(raws: Sequence[bytes]) -> list[UsageCreate]:
    """The records; of several with one id the first, for in one request rest_service takes any of them.

    A run that was cut off may have said all it used, and its repeat what was noted in the middle of it.
    """
    records: dict[str, UsageCreate] = {}
    for raw in raws:
        record = _parse_record(raw)
        if record is not None:
            records.setdefault(record.id, record)
    return list(records.values())


def _parse_record(raw: bytes) -> UsageCreate | None:
    try:
        return UsageCreate.model_validate_json(raw)
    except ValidationError as exc:
        log.warning("usage_record_broken", size=len(raw), problems=exc.error_count())
        metrics.count_usage_records(UsageFate.REFUSED, 1)
        return None


def _newest(records: list[bytes], limit: int) -> list[bytes]:
    if len(records) > limit:
        _report_dropped(len(records) - limit)
    return records[-limit:]


def _report_dropped(count: int) -> None:
    log.error("usage_records_dropped", records=count)
    metrics.count_usage_records(UsageFate.DROPPED, count)
