"""Scheduled jobs, and one row for each firing: the claim that makes a reminder fire once."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, UniqueConstraint, text
from sqlmodel import Field

from service_kit.contracts.cron import CronJobStatus, CronJobType, FiringStatus, Priority

from .base import TIMESTAMP, BaseModel, by_default, not_empty, one_of


class CronJob(BaseModel, table=True):
    """A job: recurring by `cron_expression` in its own zone, or once at `run_at`."""

    __tablename__ = "cron_jobs"
    __table_args__ = (
        CheckConstraint("(cron_expression IS NULL) <> (run_at IS NULL)", name="one_time"),
        one_of("type", CronJobType),
        one_of("priority", Priority),
        one_of("status", CronJobStatus),
        not_empty("name"),
        not_empty("message"),
        # for repeats, and for the jobs of a user: PostgreSQL counts null keys as different
        UniqueConstraint("user_id", "idempotency_key"),
        Index("ix_cron_jobs_running", "id", postgresql_where=text("is_active AND status = 'active'")),
        Index(
            "ix_cron_jobs_due",
            "next_run_at",
            postgresql_where=text("is_active AND status = 'active' AND next_run_at IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(128))
    type: str = Field(
        default=CronJobType.NOTIFICATION,
        sa_type=String(32),
        sa_column_kwargs=by_default(CronJobType.NOTIFICATION.value),
    )
    cron_expression: str | None = Field(default=None, sa_type=String(256))
    run_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    timezone: str = Field(default="UTC", sa_type=String(64), sa_column_kwargs=by_default("UTC"))
    user_id: int = Field(foreign_key="telegram_users.id", ondelete="CASCADE")
    message: str = Field(sa_type=Text)
    priority: str = Field(
        default=Priority.NORMAL, sa_type=String(16), sa_column_kwargs=by_default(Priority.NORMAL.value)
    )
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    status: str = Field(
        default=CronJobStatus.ACTIVE,
        sa_type=String(16),
        sa_column_kwargs=by_default(CronJobStatus.ACTIVE.value),
    )
    next_run_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    last_run_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    idempotency_key: str | None = Field(default=None, sa_type=String(256))


class CronJobRecord(BaseModel, table=True):
    """One firing of a job."""

    __tablename__ = "cron_job_records"
    __table_args__ = (
        UniqueConstraint("cron_job_id", "scheduled_for"),
        one_of("status", FiringStatus),
        Index("ix_cron_job_records_open", "id", postgresql_where=text("status IN ('created', 'running')")),
        # for removing what has ended long ago
        Index("ix_cron_job_records_ended", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    cron_job_id: int = Field(foreign_key="cron_jobs.id", ondelete="CASCADE")
    scheduled_for: datetime = Field(sa_type=TIMESTAMP)
    claimed_by: str | None = Field(default=None, sa_type=String(128))
    status: str = Field(
        default=FiringStatus.CREATED,
        sa_type=String(16),
        sa_column_kwargs=by_default(FiringStatus.CREATED.value),
    )
    started_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    finished_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    error: str | None = Field(default=None, sa_type=Text)
