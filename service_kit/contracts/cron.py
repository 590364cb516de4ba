"""Scheduled jobs and their firings (`/api/cron-jobs`)."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from service_kit.contracts.base import Body, Name, Resource, RowId, TimeZoneName

CronExpression = Annotated[str, StringConstraints(min_length=9, max_length=256)]
"""Standard five-field cron; rest_service checks it with cronsim."""
JobMessage = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class CronJobType(StrEnum):
    """What a firing does."""

    NOTIFICATION = "notification"
    """Sends `message` to the user as it stands."""
    SCHEDULE = "schedule"


class Priority(StrEnum):
    """`high` enters the queue at its head."""

    NORMAL = "normal"
    HIGH = "high"


class CronJobStatus(StrEnum):
    """Where a job stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    DONE = "done"
    """A one-shot that has fired."""
    FAILED = "failed"


class FiringStatus(StrEnum):
    """Where a firing stands."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    MISSED = "missed"


class CronJobCreate(Body):
    """A new job: `cron_expression` for a recurring one, `run_at` for a one-shot; exactly one of them."""

    name: Name = Field(examples=["Morning vitamins"])
    type: CronJobType = Field(default=CronJobType.NOTIFICATION)
    cron_expression: CronExpression | None = Field(default=None, examples=["0 9 * * 1-5"])
    run_at: AwareDatetime | None = Field(default=None, examples=[None])
    timezone: TimeZoneName = Field(default="UTC", examples=["Europe/Berlin"])
    user_id: RowId = Field(description="Whom it is for.", examples=[1])
    message: JobMessage = Field(examples=["Take your vitamins"])
    priority: Priority = Priority.NORMAL
    is_active: bool = True

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.cron_expression is None) == (self.run_at is None):
            msg = "give exactly one of cron_expression (recurring) and run_at (once)"
            raise ValueError(msg)
        return self


class CronJobUpdate(Body):
    """Fields of a job that `PATCH` may change; those not sent stay as they are."""

    name: Name | None = None
    cron_expression: CronExpression | None = None
    run_at: AwareDatetime | None = None
    timezone: TimeZoneName | None = None
    message: JobMessage | None = None
    priority: Priority | None = None
    is_active: bool | None = None
    status: CronJobStatus | None = None


class CronJobRead(Resource):
    """A job."""

    id: int
    name: str
    type: str
    cron_expression: str | None = None
    run_at: AwareDatetime | None = None
    timezone: str
    user_id: int
    chat_id: int = Field(description="The Telegram chat of the user.")
    message: str
    priority: Priority
    is_active: bool
    status: CronJobStatus
    next_run_at: AwareDatetime | None = None
    next_firings: list[AwareDatetime] | None = Field(
        default=None,
        description="The next three firings (UTC) of a recurring job; told for one job, not in lists.",
        examples=[["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"]],
    )
    last_run_at: AwareDatetime | None = None


class FiringClaim(Body):
    """A scheduler takes a firing: the unique (job, scheduled_for) makes it fire once."""

    scheduled_for: AwareDatetime


class FiringUpdate(Body):
    """How a firing went."""

    status: FiringStatus
    error: str | None = Field(default=None, max_length=1000)


class FiringRead(Resource):
    """One firing of a job."""

    id: int
    cron_job_id: int
    scheduled_for: AwareDatetime
    status: FiringStatus
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    error: str | None = None
