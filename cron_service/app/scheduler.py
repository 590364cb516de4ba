"""Keeps APScheduler's jobs the same as rest_service's active ones, and fires them.

APScheduler is only the clock: its jobs live in memory and carry an id; the rows are kept here. The rows
are read anew every `JOBS_REFRESH_SECONDS`, and within a second when rest_service announces a change. A
job whose times did not change keeps its next firing; a refresh that fails keeps all jobs.

After downtime: a one-shot whose time has passed fires at once. A recurring job whose `next_run_at` has
passed fires once, for the latest of the missed times.
"""

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger
from redis.exceptions import RedisError

from service_kit.clock import Clock
from service_kit.contracts.cron import CronJobRead, CronJobType
from service_kit.errors import KitError
from service_kit.health import Health
from service_kit.logging import get_logger

from .config import Settings
from .executor import FiringExecutor
from .firings import Firings
from .redis_client import RedisClient
from .rest_client import RestClient
from .triggers import CronSimTrigger

log = get_logger(__name__)

FIRING_WORKERS = 32
BEAT_SECONDS = 2
WATCH_SECONDS = 1
RESUME_AFTER = timedelta(minutes=2)
"""A firing open for longer is not under way any more, in any scheduler: all tries take less."""


def parse_cron_expression(expression: str, timezone: str) -> CronSimTrigger:
    """The trigger of a five-field cron expression in an IANA zone; ValueError says what is wrong."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, OSError) as exc:
        raise ValueError(f"{timezone!r} is not a time zone of this machine") from exc
    return CronSimTrigger(expression, zone)


def trigger_of(job: CronJobRead) -> BaseTrigger:
    """When `job` fires; ValueError says why it cannot."""
    if job.type != CronJobType.NOTIFICATION:
        raise ValueError(f"this version does not know jobs of type {job.type!r}")
    if job.cron_expression is not None:
        return parse_cron_expression(job.cron_expression, job.timezone)
    if job.run_at is None:
        raise ValueError("it has neither a cron expression nor a time")
    return DateTrigger(job.run_at)


def _times(job: CronJobRead) -> tuple[object, ...]:
    """What decides when a job fires; everything else may change without moving its next firing."""
    return (job.type, job.cron_expression, job.run_at, job.timezone)


class JobScheduler:
    """The scheduler of one process."""

    def __init__(
        self, *, rest: RestClient, redis: RedisClient, settings: Settings, health: Health, clock: Clock
    ) -> None:
        self._rest = rest
        self._redis = redis
        self._settings = settings
        self._health = health
        self._clock = clock
        self._stopping = threading.Event()
        self._firings = Firings(
            rest=rest, redis=redis, settings=settings, clock=clock, stopping=self._stopping
        )
        self._jobs: dict[int, CronJobRead] = {}
        self._unclaimed: set[int] = set()
        self._refresh_wanted = threading.Event()
        self._announced: int | None = None
        """rest_service's counter of changes, as last seen."""
        self._taken_over: int | None = None
        """The counter before the last refresh: a change during it makes the next one."""
        self._refreshed_at: float | None = None
        self._executors = {"default": FiringExecutor(FIRING_WORKERS), "upkeep": ThreadPoolExecutor(3)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors=self._executors,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 3},
        )
        health.set("jobs", "starting")
        health.set("redis", "starting")

    def start_scheduler(self) -> None:
        """Start the threads: firing, refreshing, watching for changes, the heartbeat."""
        upkeep = (
            ("heartbeat", self._health.beat, BEAT_SECONDS),
            ("watch", self._watch, WATCH_SECONDS),
            ("refresh", self.update_jobs_from_rest, self._settings.jobs_refresh_seconds),
        )
        for name, function, seconds in upkeep:
            self._scheduler.add_job(
                function,
                "interval",
                seconds=seconds,
                id=name,
                executor="upkeep",
                max_instances=1,
                next_run_time=datetime.now(UTC),
            )
        self._scheduler.start()

    def shutdown(self) -> None:
        """Start nothing new, let what runs end. What was waiting is caught up at the next start."""
        self._stopping.set()
        self._scheduler.pause()
        # First, for the scheduler's own shutdown waits for them while it holds the lock of the job store,
        # which a running refresh needs to end.
        for executor in self._executors.values():
            executor.shutdown(wait=True)
        self._scheduler.shutdown(wait=True)

    def update_jobs_from_rest(self) -> bool:
        """Take over rest_service's active jobs; False where it did not answer and all stays as it is."""
        self._refresh_wanted.clear()
        for attempt in self._firings.attempts():
            announced = self._announced
            try:
                jobs = self._rest.fetch_scheduled_jobs()
            except KitError as exc:
                log.warning("jobs_not_refreshed", attempt=attempt, error=str(exc))
            else:
                self._apply(jobs)
                self._resume_open_firings(first=self._refreshed_at is None)
                self._taken_over, self._refreshed_at = announced, time.monotonic()
                self._health.set("jobs")
                return True
        self._refresh_failed()
        return False

    def execute_job(self, job_id: int, scheduled_for: datetime) -> None:
        """Fire a job for a time; a job that has gone in the meantime does not fire."""
        job = self._jobs.get(job_id)
        if job is not None and not self._firings.fire(job, scheduled_for):
            self._unclaimed.add(job_id)
            self._refresh_wanted.set()

    def _on_time(self, job_id: int, *run_times: datetime) -> None:
        for scheduled_for in run_times:
            self.execute_job(job_id, scheduled_for)

    def _watch(self) -> None:
        """Refresh where it is wanted; asked again each second, for APScheduler drops it while one runs."""
        try:
            self._announced = self._redis.jobs_version()
        except RedisError as exc:
            self._health.set("redis", str(exc) or type(exc).__name__)
        else:
            self._health.set("redis")
        if self._refresh_wanted.is_set() or self._announced != self._taken_over:
            with contextlib.suppress(JobLookupError):  # the scheduler is being stopped
                self._scheduler.modify_job("refresh", next_run_time=datetime.now(UTC))

    def _refresh_failed(self) -> None:
        if self._refreshed_at is None:
            self._health.set("jobs", "not read yet: rest_service does not answer")
        else:
            age = time.monotonic() - self._refreshed_at
            self._health.set("jobs", f"{age:.0f} s old: rest_service does not answer")
        self._refresh_wanted.set()

    def _apply(self, jobs: list[CronJobRead]) -> None:
        fresh = {job.id: job for job in jobs}
        now = self._clock.now()
        for job_id in self._jobs.keys() - fresh.keys():
            del self._jobs[job_id]
            self._unschedule(job_id)
        for job in fresh.values():
            known = self._jobs.get(job.id)
            self._jobs[job.id] = job
            if known is None or _times(known) != _times(job) or job.id in self._unclaimed:
                self._unclaimed.discard(job.id)
                self._schedule(job, now)

    def _schedule(self, job: CronJobRead, now: datetime) -> None:
        self._unschedule(job.id)
        try:
            trigger = trigger_of(job)
        except ValueError as exc:
            log.warning("job_skipped", job_id=job.id, reason=str(exc))
            return
        if isinstance(trigger, CronSimTrigger) and job.next_run_at is not None and job.next_run_at <= now:
            missed = trigger.schedule.latest(job.next_run_at, now - timedelta(microseconds=1))
            if missed is not None:
                self._add(f"missed:{job.id}", DateTrigger(missed), missed, job.id)
        # reckoned from the same now as the missed ones: no firing falls between the two
        following = trigger.get_next_fire_time(None, now)
        if following is None:
            log.warning("job_skipped", job_id=job.id, reason="it would never fire")
        else:
            self._add(f"job:{job.id}", trigger, following, job.id)

    def _add(self, name: str, trigger: BaseTrigger, first: datetime, job_id: int) -> None:
        self._scheduler.add_job(self._on_time, trigger, args=(job_id,), id=name, next_run_time=first)

    def _unschedule(self, job_id: int) -> None:
        for name in (f"job:{job_id}", f"missed:{job_id}"):
            try:
                self._scheduler.remove_job(name)
            except JobLookupError:
                continue  # a one-shot that has fired, or one that was skipped

    def _resume_open_firings(self, *, first: bool) -> None:
        """Finish what a crash or an outage of Redis left half done.

        At the first refresh every open firing is taken: those of this process's last life are among
        them. Should one be under way in another scheduler, the queue drops the repeat.
        """
        try:
            firings = self._rest.fetch_open_firings()
        except KitError as exc:
            log.warning("open_firings_not_read", error=str(exc))
            return
        oldest = self._clock.now() - RESUME_AFTER
        for firing in firings:
            is_left = first or (firing.started_at or firing.created_at) < oldest
            if is_left and not self._firings.resume(self._jobs.get(firing.cron_job_id), firing):
                return  # the next one would fail too; the next refresh goes on
