"""Queries on jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from service_kit.changes import Topic
from service_kit.clock import Clock
from service_kit.contracts.cron import CronJobCreate, CronJobRead, CronJobStatus, CronJobUpdate
from service_kit.schedule import Schedule

from ..database import Unit
from ..errors.api import InvalidError
from ..models import cron_jobs, users
from .base import Condition, Repository, Values
from .bots import of_people_here

_OVER = frozenset({CronJobStatus.DONE, CronJobStatus.FAILED})
_TIMES = frozenset({"cron_expression", "run_at"})
_RUNNING: tuple[Condition, ...] = (
    cron_jobs.c.is_active,
    cron_jobs.c.status == literal_column("'active'"),
    cron_jobs.c.next_run_at.is_not(None),
)
"""Word for word the condition of the index `ix_cron_jobs_due`."""
_DECIDES = _TIMES | {"timezone", "is_active", "status"}
"""What `next_run_at` follows from. Other changes leave it alone: it may stand in the past, for a firing
that was missed and that cron_service is about to catch up."""
_NEW: ColumnElement[bool] = literal_column("xmax = 0")
"""Of a row that an insert answers: no other transaction has touched it, so it was made just now."""
SHOWN = 3
"""Firings that the answer to one job foretells."""


class CronJobRepository(Repository[CronJobRead]):
    """`cron_jobs`, with the chat of each job's user."""

    table = cron_jobs
    read = CronJobRead
    noun = "job"
    order = (cron_jobs.c.id,)
    topic = Topic.JOBS
    of_people_here = of_people_here(cron_jobs.c.user_id)
    by_time = (cron_jobs.c.next_run_at,)

    def __init__(self, unit: Unit, clock: Clock) -> None:
        super().__init__(unit)
        self._clock = clock

    def _select(self) -> Select[Any]:
        chat = users.c.telegram_id.label("chat_id")
        return select(cron_jobs, chat).join_from(cron_jobs, users, users.c.id == cron_jobs.c.user_id)

    async def get(self, key: UUID | int) -> CronJobRead:
        """The job with its next firings; raises NotFoundError."""
        job = await super().get(key)
        if job.cron_expression is None:
            return job
        return job.model_copy(update={"next_firings": self._foretold(job)})

    def due(self, start: datetime | None, end: datetime | None) -> list[Condition]:
        """The conditions that a job fires next within these times, both inclusive."""
        if start is None and end is None:
            return []
        time = cron_jobs.c.next_run_at
        window = ([] if start is None else [time >= start]) + ([] if end is None else [time <= end])
        return [*_RUNNING, *window]

    def after(self, job_id: int | None) -> list[Condition]:
        """The condition that a job comes after `job_id`."""
        return [] if job_id is None else [cron_jobs.c.id > job_id]

    async def create(self, body: CronJobCreate) -> tuple[CronJobRead, bool]:
        """A new job, with its first firing worked out, or the one that this key has made; whether it is new.

        Raises:
            InvalidError: the expression is wrong.
        """
        values = body.model_dump()
        values["next_run_at"] = self._next(values | {"status": CronJobStatus.ACTIVE, "last_run_at": None})
        made = insert(cron_jobs).values(values)
        # a change that changes nothing: it waits for whoever makes the same job now, and answers their row
        made = made.on_conflict_do_update(
            index_elements=["user_id", "idempotency_key"],
            set_={"idempotency_key": made.excluded.idempotency_key},
        )
        job_id, is_new = (await self.unit.connection.execute(made.returning(cron_jobs.c.id, _NEW))).one()
        if is_new:
            self._changed(values)
        return await self.get(job_id), is_new

    async def replace(self, job_id: int, body: CronJobCreate) -> CronJobRead:
        """All columns anew, save the key under which it was made; raises NotFoundError, InvalidError."""
        return await self._change(job_id, body.model_dump(exclude={"idempotency_key"}))

    async def patch(self, job_id: int, body: CronJobUpdate) -> CronJobRead:
        """The columns in `body`; raises NotFoundError, InvalidError."""
        return await self._change(job_id, self.changes(body))

    async def locked(self, job_id: int) -> Mapping[Any, Any]:
        """The row, held until the transaction ends; raises NotFoundError."""
        row = await self._fetch(select(cron_jobs).where(cron_jobs.c.id == job_id).with_for_update())
        if row is None:
            raise self.missing(job_id)
        return row

    async def is_here(self, job_id: int) -> bool:
        """Whether the job's user belongs to the bot that plays."""
        here = select(cron_jobs.c.id).where(cron_jobs.c.id == job_id, self.of_people_here)
        return await self.unit.connection.scalar(here) is not None

    async def _change(self, job_id: int, values: Values) -> CronJobRead:
        if values:
            # held, because next_run_at depends on columns that another change may be writing
            stored = await self.locked(job_id)
            changed = {name for name in _DECIDES if values.get(name, stored[name]) != stored[name]}
            rescheduled = bool(changed & _TIMES)
            if rescheduled and stored["status"] in _OVER:
                values.setdefault("status", CronJobStatus.ACTIVE)
            if changed:
                values["next_run_at"] = self._next(dict(stored) | values, anew=rescheduled)
            await self.unit.connection.execute(
                update(cron_jobs).where(cron_jobs.c.id == job_id).values(values)
            )
            self._changed(values)
        return await self.get(job_id)

    def _next(self, job: Mapping[str, Any], *, anew: bool = True) -> datetime | None:
        """When a job as `job` will be fires next."""
        expression, run_at = job["cron_expression"], job["run_at"]
        schedule = None if expression is None else schedule_of(expression, job["timezone"])
        if not job["is_active"] or job["status"] != CronJobStatus.ACTIVE:
            return None
        if schedule is not None:
            return schedule.after(self._clock.now())
        fired = job["last_run_at"] is not None and not anew
        return None if fired else run_at

    def _foretold(self, job: CronJobRead) -> list[datetime]:
        if job.next_run_at is None or job.cron_expression is None:
            return []
        try:
            schedule = schedule_of(job.cron_expression, job.timezone)
        except InvalidError:  # written by an earlier version, which took more
            return []
        return schedule.following(self._clock.now(), SHOWN)


def schedule_of(expression: str, timezone: str) -> Schedule:
    """When a recurring job fires; raises InvalidError with the reason."""
    try:
        return Schedule(expression, ZoneInfo(timezone))
    except ValueError as exc:
        raise InvalidError(str(exc), field="cron_expression") from exc
