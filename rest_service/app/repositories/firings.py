"""The firings of jobs: claimed once, reported once.

A claim compares the job's `next_run_at` and moves it on, in one statement. So a job that was moved does not
fire at its old time, and one of two schedulers gets the firing. A claim that is repeated under the same name,
because its answer was lost, gets the same answer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, literal, select, update

from service_kit.contracts.cron import (
    FIRING_TRANSITIONS,
    CronJobStatus,
    FiringClaim,
    FiringClaimed,
    FiringRead,
    FiringStatus,
    FiringUpdate,
)

from ..database import UnitOfWork
from ..errors.api import ConflictError, NotFoundError
from ..models import cron_jobs, firings
from .base import Repository, Values
from .bots import has_current_bot
from .cron_jobs import REACHABLE, RUNNING, CronJobRepository, is_on, is_reachable, schedule_of

_user_id = (
    select(cron_jobs.c.user_id)
    .where(cron_jobs.c.id == firings.c.cron_job_id)
    .correlate(firings)
    .scalar_subquery()
)
Row = Mapping[Any, Any]


class FiringRepository(Repository[FiringRead]):
    """`cron_job_records`."""

    table = firings
    read = FiringRead
    noun = "firing"
    order = (firings.c.id,)
    has_current_bot = has_current_bot(_user_id)
    reachable = is_reachable(_user_id)

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._jobs = CronJobRepository(unit)

    async def claim(self, job_id: int, claim: FiringClaim) -> tuple[FiringClaimed, bool]:
        """Claim a firing, or return the same claim as before; and whether it is new.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is not the job's next firing, or the job does not fire now.
        """
        job = await self._jobs.read_columns(job_id)
        if job["next_run_at"] == claim.scheduled_for:
            firing = await self._take(job, claim)
            if firing is not None:
                return firing, True
            job = await self._jobs.read_columns(job_id)  # somebody was faster
        known = await self._fetch(
            select(firings).where(*self.equal(cron_job_id=job_id, scheduled_for=claim.scheduled_for))
        )
        if known is None or claim.claimed_by is None or known["claimed_by"] != claim.claimed_by:
            raise ConflictError(_refusal(job, claim, is_taken=known is not None), field="scheduled_for")
        return _answer_claim(known, job["next_run_at"]), False

    async def _take(self, job: Row, claim: FiringClaim) -> FiringClaimed | None:
        """The firing; None where the job is off, unreachable, or not as it was when it was read."""
        now = self.unit.clock.now()
        following = _following(job, max(now, claim.scheduled_for.astimezone(UTC)))
        unchanged = [
            # unlike `=`, this is true for two NULLs
            cron_jobs.c[name].is_not_distinct_from(job[name])
            for name in ("next_run_at", "cron_expression", "timezone")
        ]
        # UPDATE and INSERT are one statement, so a firing never exists without the move of `next_run_at`
        moved = (
            update(cron_jobs)
            .where(cron_jobs.c.id == job["id"], *unchanged, *RUNNING, REACHABLE)
            .values(next_run_at=following, last_run_at=max(now, claim.scheduled_for))
            .returning(cron_jobs.c.id)
            .cte("moved")
        )
        values = {
            "cron_job_id": moved.c.id,
            "scheduled_for": literal(claim.scheduled_for, firings.c.scheduled_for.type),
            "claimed_by": literal(claim.claimed_by, firings.c.claimed_by.type),
            "status": literal(FiringStatus.RUNNING.value, firings.c.status.type),
            "started_at": literal(now, firings.c.started_at.type),
        }
        taken = await self._fetch(
            insert(firings).from_select(list(values), select(*values.values())).returning(*firings.columns)
        )
        return None if taken is None else _answer_claim(taken, following)

    async def report(self, job_id: int, firing_id: int, change: FiringUpdate) -> FiringRead:
        """Store the outcome of a firing; the same report twice changes nothing.

        Raises:
            NotFoundError: there is no such firing of this job.
            ConflictError: the status of the firing does not allow this one.
        """
        # two reports on one job are applied one after the other
        job = await self._jobs.lock(job_id)
        firing = await self.get(firing_id)
        if firing.cron_job_id != job_id:
            raise self.not_found(firing_id)
        # a report that is repeated because its answer was lost
        if firing.status == change.status:
            return firing
        possible = FIRING_TRANSITIONS[firing.status]
        if change.status not in possible:
            then = f"it can become {', '.join(sorted(possible))}" if possible else "that stands"
            msg = f"Firing {firing_id} is {firing.status}; {then}."
            raise ConflictError(msg, field="status")
        ended = not FIRING_TRANSITIONS[change.status]
        values: Values = {"status": change.status, "error": change.error}
        if ended:
            values["finished_at"] = self.unit.clock.now()
        reported = await self.update(firing_id, values)
        # a job that has got a later time meanwhile does not end with the earlier firing
        if ended and job["run_at"] is not None and job["run_at"] <= firing.scheduled_for:
            over = CronJobStatus.FAILED if change.status == FiringStatus.FAILED else CronJobStatus.DONE
            await self._set_job(job_id, {"status": over, "next_run_at": None})
        return reported

    def not_found(self, key: object) -> NotFoundError:
        """The refusal for a firing that is not there."""
        return NotFoundError(f"This job has no firing {key}.")

    async def _set_job(self, job_id: int, values: Values) -> None:
        await self.unit.connection.execute(update(cron_jobs).where(cron_jobs.c.id == job_id).values(values))


def _following(job: Row, fired: datetime) -> datetime | None:
    if job["cron_expression"] is None:
        return None
    return schedule_of(job["cron_expression"], job["timezone"]).after(fired)


def _answer_claim(firing: Row, following: datetime | None) -> FiringClaimed:
    return FiringClaimed.model_validate(dict(firing) | {"next_run_at": following})


def _refusal(job: Row, claim: FiringClaim, *, is_taken: bool) -> str:
    at = claim.scheduled_for.isoformat()
    if is_taken:
        return f"The firing of job {job['id']} at {at} is already claimed."
    if not is_on(job):
        return f"Job {job['id']} does not fire: it is switched off or finished."
    if not job["is_reachable"]:
        return (
            f"Job {job['id']} does not fire now: its user is blocked, cannot be reached, or has another bot."
        )
    following = job["next_run_at"]
    return f"Job {job['id']} does not fire at {at}; next: {following.isoformat() if following else 'never'}."
