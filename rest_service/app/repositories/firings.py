"""The firings of jobs: claimed once, reported on once.

The unique (job, scheduled_for) decides between two schedulers, and between two lives of one. The job's
row is held while a firing is claimed or reported, so its status and times follow in the same step.
"""

from datetime import UTC, datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from service_kit.clock import Clock
from service_kit.contracts.cron import CronJobStatus, FiringClaim, FiringRead, FiringStatus, FiringUpdate

from ..database import Unit
from ..errors.api import ConflictError, NotFoundError
from ..models import cron_job_records, cron_jobs
from .base import Repository, Values
from .bots import of_people_here
from .cron_jobs import CronJobRepository, schedule_of

_records = cron_job_records
_ENDED = frozenset({FiringStatus.DONE, FiringStatus.FAILED, FiringStatus.MISSED})


class FiringRepository(Repository[FiringRead]):
    """`cron_job_records`."""

    table = _records
    read = FiringRead
    noun = "firing"
    order = (_records.c.id,)
    of_people_here = of_people_here(
        select(cron_jobs.c.user_id)
        .where(cron_jobs.c.id == _records.c.cron_job_id)
        .correlate(_records)
        .scalar_subquery()
    )

    def __init__(self, unit: Unit, clock: Clock) -> None:
        super().__init__(unit)
        self._clock = clock
        self._jobs = CronJobRepository(unit, clock)

    async def claim(self, job_id: int, claim: FiringClaim) -> FiringRead:
        """Take a firing.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is taken, or the job is switched off, over, or of another bot.
        """
        job = await self._jobs.locked(job_id)
        if not job["is_active"] or job["status"] != CronJobStatus.ACTIVE:
            msg = f"Job {job_id} does not fire: it is switched off or over."
            raise ConflictError(msg)
        if not await self._jobs.is_here(job_id):
            msg = f"Job {job_id} does not fire: its user belongs to a bot that does not play now."
            raise ConflictError(msg)
        claimed = await self._fetch(
            insert(_records)
            .values(
                cron_job_id=job_id,
                scheduled_for=claim.scheduled_for,
                status=FiringStatus.RUNNING,
                started_at=func.now(),
            )
            .on_conflict_do_nothing(index_elements=["cron_job_id", "scheduled_for"])
            .returning(*_records.columns)
        )
        if claimed is None:
            msg = f"The firing of job {job_id} at {claim.scheduled_for.isoformat()} is claimed already."
            raise ConflictError(msg, field="scheduled_for")
        following = self._following(job["cron_expression"], job["timezone"], claim.scheduled_for)
        await self._set_job(job_id, {"last_run_at": func.now(), "next_run_at": following})
        return self._parse(claimed)

    async def report(self, job_id: int, firing_id: int, change: FiringUpdate) -> FiringRead:
        """Say how it went; the same report twice changes nothing.

        Raises:
            NotFoundError: there is no such firing of this job.
            ConflictError: it was reported differently before.
        """
        job = await self._jobs.locked(job_id)
        firing = await self.get(firing_id)
        if firing.cron_job_id != job_id:
            raise self.missing(firing_id)
        if firing.status == change.status:
            return firing
        if firing.status in _ENDED:
            msg = f"Firing {firing_id} ended as {firing.status} before; that stands."
            raise ConflictError(msg, field="status")
        ended = change.status in _ENDED
        values: Values = {"status": change.status, "error": change.error}
        reported = await self.update(firing_id, values | ({"finished_at": func.now()} if ended else {}))
        # a job that was given a later time meanwhile is not over with the earlier firing
        if ended and job["run_at"] is not None and job["run_at"] <= firing.scheduled_for:
            over = CronJobStatus.FAILED if change.status == FiringStatus.FAILED else CronJobStatus.DONE
            await self._set_job(job_id, {"status": over, "next_run_at": None})
        return reported

    def missing(self, key: object) -> NotFoundError:
        """The refusal for a firing that is not there."""
        return NotFoundError(f"This job has no firing {key}.")

    def _following(self, expression: str | None, timezone: str, fired: datetime) -> datetime | None:
        if expression is None:
            return None
        return schedule_of(expression, timezone).after(max(self._clock.now(), fired.astimezone(UTC)))

    async def _set_job(self, job_id: int, values: Values) -> None:
        await self.unit.connection.execute(update(cron_jobs).where(cron_jobs.c.id == job_id).values(values))
