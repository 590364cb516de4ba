"""Queries on jobs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Select, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from service_kit.changes import Topic
from service_kit.contracts.cron import CronJobCreate, CronJobRead, CronJobStatus, CronJobUpdate
from service_kit.contracts.users import UserRole
from service_kit.schedule import Schedule

from ..errors.api import InvalidError
from ..models import cron_jobs, users
from .base import Condition, Repository, Values
from .bots import has_current_bot

_OVER = frozenset({CronJobStatus.DONE, CronJobStatus.FAILED})
_TIMES = frozenset({"cron_expression", "run_at"})
RUNNING: tuple[Condition, ...] = (
    cron_jobs.c.is_active,
    # a bound value would keep PostgreSQL from using the partial index
    cron_jobs.c.status == literal_column("'active'"),
    cron_jobs.c.next_run_at.is_not(None),
)
"""Word for word the condition of the index `ix_cron_jobs_due`."""
_person = users.alias("person")
_MAY = _person.c.is_active & (_person.c.role != literal_column(f"'{UserRole.BLOCKED}'"))


def is_reachable(user_id: ColumnElement[int]) -> Condition:
    """The condition that this user is active and not blocked."""
    # by the key of each row, as in `has_current_bot`
    return select(_MAY).where(_person.c.id == user_id).scalar_subquery()


REACHABLE: Condition = is_reachable(cron_jobs.c.user_id) & has_current_bot(cron_jobs.c.user_id)
"""The job's user gets messages of the current bot. All other jobs keep their `next_run_at`, and so fire
when the user is back."""
PAST_GRACE = timedelta(minutes=1)
"""How far `run_at` may lie back when it is set: "now" takes a while to arrive, and people name minutes."""
_NEW: ColumnElement[bool] = literal_column("xmax = 0")
"""Of a row that an insert answers: no other transaction has touched it, so it was made just now."""
_OVER_SENTENCE = (
    "This job's time, {run_at}, is in the past. Send a new run_at along; for a recurring job a "
    "cron_expression, and null for run_at."
)
SHOWN = 3
"""Firings that the answer to one job foretells."""


class CronJobRepository(Repository[CronJobRead]):
    """`cron_jobs`, with the chat of each job's user."""

    table = cron_jobs
    read = CronJobRead
    noun = "job"
    order = (cron_jobs.c.id,)
    topic = Topic.JOBS
    has_current_bot = has_current_bot(cron_jobs.c.user_id)
    reachable = is_reachable(cron_jobs.c.user_id)
    by_time = (cron_jobs.c.next_run_at,)

    def _select(self) -> Select[Any]:
        chat = users.c.telegram_id.label("chat_id")
        return select(cron_jobs, chat).join_from(cron_jobs, users, users.c.id == cron_jobs.c.user_id)

    async def get(self, key: UUID | int) -> CronJobRead:
        """The job with its next firings; raises NotFoundError."""
        job = await super().get(key)
        if job.cron_expression is None:
            return job
        return job.model_copy(update={"next_firings": self._next_firings(job)})

    def due(self, start: datetime | None, end: datetime | None) -> list[Condition]:
        """The conditions that a job fires next within these times, both inclusive."""
        if start is None and end is None:
            return []
        time = cron_jobs.c.next_run_at
        window = ([] if start is None else [time >= start]) + ([] if end is None else [time <= end])
        return [*RUNNING, *window]

    def after(self, job_id: int | None) -> list[Condition]:
        """The condition that a job comes after `job_id`."""
        return [] if job_id is None else [cron_jobs.c.id > job_id]

    async def create(self, body: CronJobCreate) -> tuple[CronJobRead, bool]:
        """A new job, with its first firing worked out, or the one that this key has made; whether it is new.

        Raises:
            InvalidError: the expression is wrong, or the time is over.
        """
        values = body.model_dump()
        try:
            values["next_run_at"] = self._next(values | {"status": CronJobStatus.ACTIVE, "last_run_at": None})
        except InvalidError:
            # a repeat may come when the time is over that was ahead at first
            known = await self._find_by_key(body)
            if known is None:
                raise
            return known, False
        made = insert(cron_jobs).values(values)
        # updates nothing, but unlike DO NOTHING it waits for a concurrent insert and returns that row
        made = made.on_conflict_do_update(
            index_elements=["user_id", "idempotency_key"],
            set_={"idempotency_key": made.excluded.idempotency_key},
        )
        job_id, is_new = (await self.unit.connection.execute(made.returning(cron_jobs.c.id, _NEW))).one()
        if is_new:
            self._mark_changed(values)
        return await self.get(job_id), is_new

    async def replace(self, job_id: int, body: CronJobCreate) -> CronJobRead:
        """All columns anew, save the key under which it was made; raises NotFoundError, InvalidError."""
        return await self._change(job_id, body.model_dump(exclude={"idempotency_key"}))

    async def patch(self, job_id: int, body: CronJobUpdate) -> CronJobRead:
        """The columns in `body`; raises NotFoundError, InvalidError."""
        return await self._change(job_id, self.changes(body))

    async def lock(self, job_id: int) -> Mapping[Any, Any]:
        """The row, held until the transaction ends; raises NotFoundError."""
        row = await self._fetch(select(cron_jobs).where(cron_jobs.c.id == job_id).with_for_update())
        if row is None:
            raise self.not_found(job_id)
        return row

    async def read_columns(self, job_id: int) -> Mapping[Any, Any]:
        """The row, with `is_reachable`; raises NotFoundError."""
        found = await self._fetch(
            select(cron_jobs, REACHABLE.label("is_reachable")).where(cron_jobs.c.id == job_id)
        )
        if found is None:
            raise self.not_found(job_id)
        return found

    async def _find_by_key(self, body: CronJobCreate) -> CronJobRead | None:
        if body.idempotency_key is None:
            return None
        same = self.equal(user_id=body.user_id, idempotency_key=body.idempotency_key)
        job_id = await self.unit.connection.scalar(select(cron_jobs.c.id).where(*same))
        return None if job_id is None else await self.get(job_id)

    async def _change(self, job_id: int, values: Values) -> CronJobRead:
        if values:
            # held, because next_run_at depends on columns that another change may be writing
            # two changes at once are applied one after the other
            stored = await self.lock(job_id)
            has_new_time = any(values.get(name, stored[name]) != stored[name] for name in _TIMES)
            if has_new_time and stored["status"] in _OVER:
                values.setdefault("status", CronJobStatus.ACTIVE)
            wanted = dict(stored) | values
            # otherwise it stays: it may be over, of a firing that was missed and is about to be caught up
            if _schedule_of(wanted) != _schedule_of(stored):
                # what is only switched off needs no schedule, which may have become unreadable
                only_off = not is_on(wanted) and _schedule_of(wanted)[1:] == _schedule_of(stored)[1:]
                values["next_run_at"] = None if only_off else self._next(wanted)
            await self.unit.connection.execute(
                update(cron_jobs).where(cron_jobs.c.id == job_id).values(values)
            )
            self._mark_changed(values)
        return await self.get(job_id)

    def _next(self, job: Mapping[str, Any]) -> datetime | None:
        """When a job as `job` will be fires next; none for one that is off.

        Raises:
            InvalidError: it is on and would never fire.
        """
        now, fired = self.unit.clock.now(), job["last_run_at"]
        if job["cron_expression"] is None:
            run_at = job["run_at"]
            is_over = run_at is not None and (run_at < now - PAST_GRACE or (fired and run_at <= fired))
            if is_over and is_on(job):
                raise InvalidError(_OVER_SENTENCE.format(run_at=run_at.isoformat()), field="run_at")
            return run_at if is_on(job) else None
        schedule = schedule_of(job["cron_expression"], job["timezone"])
        # a firing that was claimed a moment early, by another clock, is not due again
        following = schedule.after(max(now, fired or now))
        if following is None:
            msg = "No such day is left: this job would never fire."
            raise InvalidError(msg, field="cron_expression")
        return following if is_on(job) else None

    def _next_firings(self, job: CronJobRead) -> list[datetime]:
        if job.next_run_at is None or job.cron_expression is None:
            return []
        try:
            schedule = schedule_of(job.cron_expression, job.timezone)
        except InvalidError:  # written by an earlier version, which took more
            return []
        return schedule.following(self.unit.clock.now(), SHOWN)


def is_on(job: Mapping[str, Any]) -> bool:
    """Whether a job fires, as far as it is the job's own matter."""
    return bool(job["is_active"] and job["status"] == CronJobStatus.ACTIVE)


def _schedule_of(job: Mapping[str, Any]) -> tuple[object, ...]:
    """What `next_run_at` follows from. A one-shot's time has an offset of its own, whatever the zone."""
    zone = None if job["cron_expression"] is None else job["timezone"]
    return (is_on(job), job["cron_expression"], job["run_at"], zone)


@lru_cache(maxsize=1024)  # checking an expression costs more than all else that a request does to a job
def schedule_of(expression: str, timezone: str) -> Schedule:
    """When a recurring job fires; raises InvalidError with the reason."""
    try:
        return Schedule(expression, ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, OSError) as exc:  # stored by a version, or on a machine, that knew more
        msg = f"The time zone {timezone!r} is not known here any more. Choose another one."
        raise InvalidError(msg, field="timezone") from exc
    except ValueError as exc:
        raise InvalidError(str(exc), field="cron_expression") from exc
