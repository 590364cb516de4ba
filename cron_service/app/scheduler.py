"""Keeps APScheduler's jobs the same as rest_service's active ones, and fires them.

APScheduler is only the clock: its jobs live in memory and carry an id; the rows are kept here. The rows
are read anew every `JOBS_REFRESH_SECONDS`, and within a second when rest_service announces a change. A
refresh that fails keeps all jobs.

rest_service decides when a job fires next: a job is scheduled at its `next_run_at`, which is claimed at that
time, and then at the `next_run_at` in the answer to the claim. So what was missed while this service,
rest_service or the user was away fires once, at once; a recurring job fires once for all missed times.
"""

import contextlib
import threading
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger
from redis.exceptions import RedisError

from service_kit.clock import Clock
from service_kit.contracts.cron import CronJobRead, CronJobType, FiringClaimed
from service_kit.errors import KitError
from service_kit.health import Health
from service_kit.logging import get_logger

from .config import Settings
from .firings import Firings
from .redis_client import RedisClient
from .rest_client import RestClient
from .triggers import CronSimTrigger

log = get_logger(__name__)

FIRING_WORKERS = 32
BEAT_SECONDS = 2
WATCH_SECONDS = 1


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


def _timing(job: CronJobRead) -> tuple[object, ...]:
    """What decides when a job fires; everything else may change without moving its next firing."""
    return (job.type, job.cron_expression, job.run_at, job.timezone, job.next_run_at)


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
        self._lock = threading.Lock()
        """Guards the two below, which a refresh and firings both write."""
        self._jobs: dict[int, CronJobRead] = {}
        self._jobs_to_reschedule: set[int] = set()
        """Jobs whose last firing failed: the next refresh schedules them again."""
        self._refresh_wanted = threading.Event()
        self._announced_version: int | None = None
        """rest_service's counter of changes, as last seen."""
        self._applied_version: int | None = None
        """The counter before the last refresh. A change during a refresh causes the next one."""
        self._refreshed_at: float | None = None
        self._executors = {"default": ThreadPoolExecutor(FIRING_WORKERS), "upkeep": ThreadPoolExecutor(3)}
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
        """Start nothing new and wait for what runs. The next start makes up for what was waiting."""
        self._stopping.set()
        self._scheduler.pause()
        # Executors first: the scheduler waits for them while it holds the lock of the job store,
        # which a running refresh needs in order to end.
        for executor in self._executors.values():
            executor.shutdown(wait=True)
        self._scheduler.shutdown(wait=True)

    def update_jobs_from_rest(self) -> bool:
        """Read the active jobs from rest_service; return False and keep all jobs where it does not answer."""
        self._refresh_wanted.clear()
        for attempt in self._firings.attempts():
            announced = self._announced_version
            try:
                jobs = self._rest.fetch_scheduled_jobs()
            except KitError as exc:
                log.warning("jobs_refresh_failed", attempt=attempt, error=str(exc))
            else:
                self._apply(jobs)
                self._resume_open_firings()
                self._applied_version, self._refreshed_at = announced, time.monotonic()
                self._health.set("jobs")
                return True
        self._refresh_failed()
        return False

    def execute_job(self, job_id: int) -> None:
        """Fire a job for its `next_run_at`; a job that is gone or was postponed does not fire."""
        job = self._jobs.get(job_id)
        if job is None or job.next_run_at is None or job.next_run_at > self._clock.now():
            return
        if self._stopping.is_set():
            return  # the next start makes up for it
        if not self._firings.fire(job, job.next_run_at, self._apply_claim):
            with self._lock:
                self._jobs_to_reschedule.add(job_id)
            self._refresh_wanted.set()

    def _apply_claim(self, firing: FiringClaimed) -> None:
        with self._lock:
            job = self._jobs.get(firing.cron_job_id)
            if job is not None:
                self._jobs[job.id] = job.model_copy(update={"next_run_at": firing.next_run_at})
                self._schedule(self._jobs[job.id])

    def _watch(self) -> None:
        """Start a refresh where one is wanted.

        Called every second, because APScheduler drops a refresh that is due while another one runs.
        """
        try:
            self._announced_version = self._redis.jobs_version()
        except RedisError as exc:
            self._health.set("redis", str(exc) or type(exc).__name__)
            return  # without Redis no firing could be sent, so a refresh would not help
        self._health.set("redis")
        if self._refresh_wanted.is_set() or self._announced_version != self._applied_version:
            with contextlib.suppress(JobLookupError):  # the scheduler is stopping
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
        with self._lock:
            for job_id in self._jobs.keys() - fresh.keys():
                del self._jobs[job_id]
                self._unschedule(job_id)
            for job in fresh.values():
                known = self._jobs.get(job.id)
                self._jobs[job.id] = job
                if known is None or _timing(known) != _timing(job) or job.id in self._jobs_to_reschedule:
                    self._schedule(job)
            self._jobs_to_reschedule.clear()

    def _schedule(self, job: CronJobRead) -> None:
        trigger = None
        try:
            trigger = trigger_of(job)
        except ValueError as exc:
            log.warning("job_skipped", job_id=job.id, reason=str(exc))
        if trigger is None or job.next_run_at is None:
            self._unschedule(job.id)
            return
        # not left to the trigger, which would fire once for each missed time
        first = max(job.next_run_at, self._clock.now())
        self._scheduler.add_job(
            self.execute_job,
            trigger,
            args=(job.id,),
            id=f"job:{job.id}",
            next_run_time=first,
            replace_existing=True,
        )

    def _unschedule(self, job_id: int) -> None:
        with contextlib.suppress(JobLookupError):  # a one-shot that has fired, or one that was skipped
            self._scheduler.remove_job(f"job:{job_id}")

    def _resume_open_firings(self) -> None:
        """Resume firings that a crash, an outage or a lost answer left open."""
        try:
            firings = self._rest.fetch_open_firings()
        except KitError as exc:
            log.warning("open_firings_read_failed", error=str(exc))
            return
        for firing in firings:
            if not self._firings.resume(self._jobs.get(firing.cron_job_id), firing):
                self._refresh_wanted.set()
                return  # the next one would fail too
