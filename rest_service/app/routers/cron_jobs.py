"""`/api/cron-jobs`, also answering at `/api/cronjobs`: scheduled jobs and their firings."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from service_kit.contracts.base import Moment
from service_kit.contracts.cron import (
    CronJobCreate,
    CronJobRead,
    CronJobStatus,
    CronJobUpdate,
    FiringClaim,
    FiringClaimed,
    FiringRead,
    FiringStatus,
    FiringUpdate,
)

from ..access import FIRINGS, JOBS, SCHEDULE
from ..dependencies import (
    BigRowPath,
    Page,
    ReadUnit,
    RowFilter,
    RowPath,
    SearchText,
    TypeName,
    WriteUnit,
    set_total,
)
from ..repositories.cron_jobs import CronJobRepository
from ..repositories.firings import FiringRepository
from ..routing import BODY, CLASH, MISSING, TOTAL, Responses
from ..routing import router as new_router

router = new_router("/cron-jobs", "cron-jobs")

KNOWN: Responses = {
    200: {"model": CronJobRead, "description": "The job that the `idempotency_key` has made before."}
}

CLAIMED: Responses = {200: {"model": FiringClaimed, "description": "`claimed_by` has claimed it before."}}


Reachable = Annotated[
    bool | None, Field(description="Whether the job's user gets messages: is active and not blocked.")
]


class JobFilter(Page):
    """Which jobs."""

    user_id: RowFilter | None = None
    is_active: bool | None = None
    status: CronJobStatus | None = None
    type: TypeName | None = None
    is_reachable: Reachable = None
    due_from: Moment | None = Field(
        default=None, description="Active jobs that fire next at this time or later, the earliest first."
    )
    due_until: Moment | None = Field(
        default=None, description="Active jobs that fire next at this time or earlier, the earliest first."
    )
    after_id: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="Jobs with larger ids: give the last id of a page to get the next one. Unlike with "
        "`offset`, nothing is skipped when jobs go away meanwhile; the total is not counted.",
    )
    search: SearchText | None = None
    """Part of the name, in any case."""


class FiringFilter(Page):
    """Which firings."""

    status: FiringStatus | None = None
    is_reachable: Reachable = None


@router.get("", dependencies=SCHEDULE, responses=TOTAL)
async def list_cron_jobs(
    unit: ReadUnit, response: Response, query: Annotated[JobFilter, Query()]
) -> list[CronJobRead]:
    """Jobs, by id; with `due_from` or `due_until` those that fire next, by time.

    Jobs of the users of another bot than the current one are left out, and do not fire.
    """
    jobs = CronJobRepository(unit)
    wanted = jobs.equal(
        user_id=query.user_id, is_active=query.is_active, status=query.status, type=query.type
    )
    due = jobs.due(query.due_from, query.due_until)
    wanted += [jobs.has_current_bot, *jobs.match(jobs.reachable, query.is_reachable), *due]
    wanted += jobs.after(query.after_id) + jobs.name_contains(query.search)
    first = jobs.by_time if due else ()
    if query.after_id is not None:  # for programs, which would pay for a number they do not look at
        return await jobs.rows(query.window, wanted, first=first)
    rows, total = await jobs.page(query.window, wanted, first=first)
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=JOBS, responses=BODY | KNOWN)
async def create_cron_job(unit: WriteUnit, response: Response, body: CronJobCreate) -> CronJobRead:
    """A new job: recurring by `cron_expression` in its own zone, or once at `run_at`.

    With an `idempotency_key` that has made a job of this user before, the answer is that job, as it is now.
    """
    job, is_new = await CronJobRepository(unit).create(body)
    if not is_new:
        response.status_code = 200
    return job


@router.get("/firings", dependencies=FIRINGS, responses=TOTAL)
async def list_firings(
    unit: ReadUnit, response: Response, query: Annotated[FiringFilter, Query()]
) -> list[FiringRead]:
    """Firings of all jobs, oldest first; `status=running` shows those without a report."""
    firings = FiringRepository(unit)
    wanted = [firings.has_current_bot, *firings.match(firings.reachable, query.is_reachable)]
    rows, total = await firings.page(query.window, wanted + firings.equal(status=query.status))
    set_total(response, total)
    return rows


@router.get("/{job_id}", dependencies=JOBS, responses=MISSING)
async def get_cron_job(unit: ReadUnit, job_id: RowPath) -> CronJobRead:
    """One job."""
    return await CronJobRepository(unit).get(job_id)


@router.put("/{job_id}", dependencies=JOBS, responses=BODY | MISSING | CLASH)
async def replace_cron_job(unit: WriteUnit, job_id: RowPath, body: CronJobCreate) -> CronJobRead:
    """The whole job anew; what is not sent takes its default. The `idempotency_key` stays as it is."""
    return await CronJobRepository(unit).replace(job_id, body)


@router.patch("/{job_id}", dependencies=JOBS, responses=BODY | MISSING)
async def update_cron_job(unit: WriteUnit, job_id: RowPath, body: CronJobUpdate) -> CronJobRead:
    """The fields that are sent; the others stay. A new time makes a finished job active again."""
    return await CronJobRepository(unit).patch(job_id, body)


@router.delete("/{job_id}", status_code=204, dependencies=JOBS, responses=MISSING)
async def delete_cron_job(unit: WriteUnit, job_id: RowPath) -> None:
    """The job and its firings."""
    await CronJobRepository(unit).delete(job_id)


@router.get("/{job_id}/firings", dependencies=FIRINGS, responses=MISSING | TOTAL)
async def list_firings_of_job(
    unit: ReadUnit,
    response: Response,
    job_id: RowPath,
    query: Annotated[FiringFilter, Query()],
) -> list[FiringRead]:
    """Firings of one job, oldest first."""
    await CronJobRepository(unit).get(job_id)
    firings = FiringRepository(unit)
    wanted = firings.equal(cron_job_id=job_id, status=query.status)
    wanted += firings.match(firings.reachable, query.is_reachable)
    rows, total = await firings.page(query.window, wanted)
    set_total(response, total)
    return rows


@router.post(
    "/{job_id}/firings", status_code=201, dependencies=FIRINGS, responses=BODY | CLAIMED | MISSING | CLASH
)
async def claim_firing(
    unit: WriteUnit, response: Response, job_id: RowPath, body: FiringClaim
) -> FiringClaimed:
    """Take the next firing of a job before it is sent; the job's `next_run_at` moves on with it.

    409 where it is taken, the job has another `next_run_at`, is off or over, or its user gets no messages.
    """
    firing, is_new = await FiringRepository(unit).claim(job_id, body)
    if not is_new:
        response.status_code = 200
    return firing


@router.patch("/{job_id}/firings/{firing_id}", dependencies=FIRINGS, responses=BODY | MISSING | CLASH)
async def report_firing(
    unit: WriteUnit, job_id: RowPath, firing_id: BigRowPath, body: FiringUpdate
) -> FiringRead:
    """Say how a firing went, once; with it a job that fires once is over."""
    return await FiringRepository(unit).report(job_id, firing_id, body)
