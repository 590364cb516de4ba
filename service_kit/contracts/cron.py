"""Scheduled jobs and their firings (`/api/cron-jobs`)."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from service_kit.contracts.base import (
    NOT_BLANK,
    Body,
    Choice,
    Flag,
    Moment,
    Name,
    Patch,
    Resource,
    RowId,
    TimeZoneName,
)

CronExpression = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Field(json_schema_extra={"format": "cron"}),
]
"""Standard five-field cron; rest_service checks it and says which field is wrong."""
JobMessage = Annotated[str, StringConstraints(min_length=1, max_length=4096), NOT_BLANK]

IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=256), NOT_BLANK]


class CronJobType(Choice):
    """What a firing does."""

    NOTIFICATION = "notification"
    """Sends `message` to the user as it stands."""
    SCHEDULE = "schedule"


class Priority(Choice):
    """`high` enters the queue at its head."""

    NORMAL = "normal"
    HIGH = "high"


class CronJobStatus(Choice):
    """The status of a job."""

    ACTIVE = "active"
    PAUSED = "paused"
    DONE = "done"
    """A one-shot that has fired."""
    FAILED = "failed"


class FiringStatus(Choice):
    """The status of a firing."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    MISSED = "missed"


_ENDS = frozenset({FiringStatus.DONE, FiringStatus.FAILED, FiringStatus.MISSED})
FIRING_TRANSITIONS: Mapping[FiringStatus, frozenset[FiringStatus]] = {
    FiringStatus.CREATED: frozenset({FiringStatus.RUNNING, FiringStatus.FAILED, FiringStatus.MISSED}),
    FiringStatus.RUNNING: _ENDS,
    **dict.fromkeys(_ENDS, frozenset()),
}
"""Which status may follow which. After the end of a firing none does."""


_NAME = "What the job is called in lists."
_TYPE = "`notification` sends `message` as it stands."
_CRON = (
    "Recurring: five fields, minute hour day month weekday. `0 9 * * 1-5`: 9:00 on weekdays; "
    "`*/15 8-18 * * *`: every quarter of an hour by day; `0 8 1 * *`: 8:00 on the first of the month; "
    "`0 20 * * SUN`: Sundays at 20:00 (0 and 7 are Sunday too)."
)
_RUN_AT = "Once: the moment, with its offset from UTC. A time that is over is refused."
_TIMEZONE = "The IANA zone in which `cron_expression` is read."
_USER_ID = "Whom it is for: the `id` of a user."
_MESSAGE = "What the user is sent."
_PRIORITY = "`high` goes before everything that waits."
_IS_ACTIVE = "False: it does not fire until it is true again."
_STATUS = (
    "`active`, `paused`, `done` (fired once, as it was to), or `failed`. A one-shot whose time is over "
    "becomes `active` only with a new `run_at`."
)
_KEY = (
    "A client that may repeat a request sends a key with it: a second request with the same key makes no "
    "second job, and its answer is the first job."
)
_TIME = "2026-12-24T17:00:00Z"


def _one_time(schema: dict[str, Any]) -> None:
    """For the document: of the two times exactly one is given and not null."""
    text, null = {"type": "string"}, {"type": "null"}
    schema["oneOf"] = [
        {"properties": {one: text, other: null}, "required": [one]}
        for one, other in (("cron_expression", "run_at"), ("run_at", "cron_expression"))
    ]
    schema["examples"] = [
        {
            "name": "Morning vitamins",
            "cron_expression": "0 9 * * 1-5",
            "timezone": "Europe/Berlin",
            "user_id": 1,
            "message": "Take your vitamins",
        }
    ]


class CronJobCreate(Body):
    """A new job: `cron_expression` for a recurring one, `run_at` for a one-shot; exactly one of them."""

    model_config = ConfigDict(json_schema_extra=_one_time)

    name: Name = Field(description=_NAME, examples=["Morning vitamins"])
    type: CronJobType = Field(default=CronJobType.NOTIFICATION, description=_TYPE, examples=["notification"])
    cron_expression: CronExpression | None = Field(default=None, description=_CRON, examples=["0 9 * * 1-5"])
    run_at: Moment | None = Field(default=None, description=_RUN_AT, examples=[None])
    timezone: TimeZoneName = Field(default="UTC", description=_TIMEZONE, examples=["Europe/Berlin"])
    user_id: RowId = Field(description=_USER_ID, examples=[1])
    message: JobMessage = Field(description=_MESSAGE, examples=["Take your vitamins"])
    priority: Priority = Field(default=Priority.NORMAL, description=_PRIORITY, examples=["normal"])
    is_active: Flag = Field(default=True, description=_IS_ACTIVE, examples=[True])
    idempotency_key: IdempotencyKey | None = Field(default=None, description=_KEY, examples=[None])

    @model_validator(mode="after")
    def _one_of_two_times(self) -> Self:
        if (self.cron_expression is None) == (self.run_at is None):
            state = "is missing" if self.run_at is None else "is given together with run_at"
            wrong = f"{state}: give exactly one of cron_expression (recurring) and run_at (once)"
            raise PydanticCustomError("one_of_two", "{wrong}", {"wrong": wrong, "field": "cron_expression"})
        return self


class CronJobUpdate(Patch):
    """Fields of a job that `PATCH` may change; those not sent stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cron_expression": "30 8 * * *", "message": "Good morning!"}]}
    )
    clearable = frozenset({"cron_expression", "run_at"})

    name: Name | None = Field(default=None, description=_NAME, examples=["Morning vitamins"])
    cron_expression: CronExpression | None = Field(default=None, description=_CRON, examples=["30 8 * * *"])
    run_at: Moment | None = Field(default=None, description=_RUN_AT, examples=[None])
    timezone: TimeZoneName | None = Field(default=None, description=_TIMEZONE, examples=["Europe/Berlin"])
    message: JobMessage | None = Field(default=None, description=_MESSAGE, examples=["Take your vitamins"])
    priority: Priority | None = Field(default=None, description=_PRIORITY, examples=["normal"])
    is_active: Flag | None = Field(default=None, description=_IS_ACTIVE, examples=[True])
    status: CronJobStatus | None = Field(default=None, description=_STATUS, examples=["active"])


class CronJobRead(Resource):
    """A job."""

    id: int = Field(description="The number of the job.", examples=[1])
    name: str = Field(description=_NAME, examples=["Morning vitamins"])
    type: str = Field(description=_TYPE, examples=["notification"])
    cron_expression: str | None = Field(
        default=None, description="Recurring: when, as cron.", examples=["0 9 * * 1-5"]
    )
    run_at: AwareDatetime | None = Field(default=None, description="Once: when.", examples=[None])
    timezone: str = Field(description=_TIMEZONE, examples=["Europe/Berlin"])
    user_id: int = Field(description=_USER_ID, examples=[1])
    chat_id: int = Field(description="The Telegram chat of the user.", examples=[100200300])
    message: str = Field(description=_MESSAGE, examples=["Take your vitamins"])
    priority: Priority = Field(description=_PRIORITY, examples=["normal"])
    is_active: bool = Field(description=_IS_ACTIVE, examples=[True])
    status: CronJobStatus = Field(description=_STATUS, examples=["active"])
    next_run_at: AwareDatetime | None = Field(
        default=None, description="When it fires next (UTC); none where it will not.", examples=[_TIME]
    )
    next_firings: list[AwareDatetime] | None = Field(
        default=None,
        description="The next three firings (UTC) of a recurring job; told for one job, not in lists.",
        examples=[["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"]],
    )
    last_run_at: AwareDatetime | None = Field(
        default=None, description="When it last fired (UTC).", examples=[None]
    )


_CLAIMED_BY = "The scheduler that claims, by a name of its own."


class FiringClaim(Body):
    """A scheduler claims the next firing of a job: the one at its `next_run_at`, and at no other time."""

    scheduled_for: Moment = Field(description="The job's `next_run_at`.", examples=[_TIME])
    claimed_by: Name | None = Field(
        default=None,
        description=f"{_CLAIMED_BY} Sent again with the same name, the same claim gets the same answer.",
        examples=["cron_service-1"],
    )


_FIRING_STATUS = "`running` from the claim until it is reported on: `done`, `failed` or `missed`."


class FiringUpdate(Body):
    """A report on a firing."""

    status: FiringStatus = Field(description=_FIRING_STATUS, examples=["done"])
    error: str | None = Field(
        default=None, max_length=1000, description="Why it failed, for the admin.", examples=[None]
    )


class FiringRead(Resource):
    """One firing of a job."""

    id: int = Field(description="The number of the firing.", examples=[1])
    cron_job_id: int = Field(description="The job that fired.", examples=[1])
    scheduled_for: AwareDatetime = Field(description="When it was to fire (UTC).", examples=[_TIME])
    status: FiringStatus = Field(description=_FIRING_STATUS, examples=["done"])
    started_at: AwareDatetime | None = Field(
        default=None, description="When it was claimed (UTC).", examples=[_TIME]
    )
    finished_at: AwareDatetime | None = Field(
        default=None, description="When it was reported on (UTC).", examples=[_TIME]
    )
    error: str | None = Field(default=None, description="Why it failed.", examples=[None])
    claimed_by: str | None = Field(default=None, description=_CLAIMED_BY, examples=["cron_service-1"])


class FiringClaimed(FiringRead):
    """The answer to a claim."""

    next_run_at: AwareDatetime | None = Field(
        default=None,
        description="When the job fires next (UTC); none where it will not.",
        examples=[_TIME],
    )
