"""Claims, sends and reports a firing of a job, in this order.

The claim (it moves the job's `next_run_at` on) makes sure that a firing is sent by one scheduler; the
message's id `job:<id>:<time>` makes sure that the queue takes it once. So every step may be repeated:

- no answer to the claim: the claim is repeated under the same name and gets the answer that was lost;
- not claimed (rest_service is away): `fire` returns False, and the next refresh fires it, marked late;
- claimed, not sent (Redis is away, or a crash): the firing stays open, and a later refresh resumes it;
- sent, not reported: a later refresh resumes it too, and the queue drops the repeat.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redis.exceptions import RedisError

from service_kit.clock import Clock
from service_kit.contracts.cron import (
    CronJobRead,
    FiringClaimed,
    FiringRead,
    FiringStatus,
)
from service_kit.errors import AccessError, ConflictError, KitError, NotFoundError, RestError, TransientError
from service_kit.logging import bind_correlation, get_logger

from .config import Settings
from .redis_client import RedisClient
from .rest_client import RestClient
from .texts import mark_late
from .triggers import latest_missed_time

log = get_logger(__name__)

FIRST_WAIT = 0.1
"""Seconds before the second try of anything; each further wait is four times the one before."""
RESUME_AFTER = timedelta(minutes=1)
"""A firing of another scheduler that is open for longer was abandoned: all tries together take less."""
LATE_AFTER = timedelta(minutes=2)
"""A message that is sent later than this says so. Longer than the interval of refreshes."""


def message_id(job_id: int, scheduled_for: datetime) -> str:
    """The notification's id, the same at every try."""
    return f"job:{job_id}:{int(scheduled_for.timestamp())}"


class Firings:
    """Fires jobs; called from several threads at once."""

    def __init__(
        self,
        *,
        rest: RestClient,
        redis: RedisClient,
        settings: Settings,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._rest = rest
        self._redis = redis
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._in_progress: set[str] = set()
        self._lock = threading.Lock()

    def attempts(self) -> Iterator[int]:
        """MAX_RETRIES tries, at most RETRY_DELAY apart; no further one once the service stops."""
        last, wait = self._settings.max_retries, FIRST_WAIT
        for attempt in range(1, last + 1):
            yield attempt
            if attempt == last or self._stopping.wait(min(wait, self._settings.retry_delay)):
                return
            wait *= 4

    def fire(
        self, job: CronJobRead, scheduled_for: datetime, on_claim: Callable[[FiringClaimed], None]
    ) -> bool:
        """Fire `job` for its time; return False where the next refresh must repeat it.

        `on_claim` is called with the claimed firing before it is sent.
        """
        with self._exclusive(job.id, scheduled_for) as is_free:
            if not is_free:
                return True
            for attempt in self.attempts():
                try:
                    firing = self._rest.claim_firing(job.id, scheduled_for)
                except (ConflictError, NotFoundError) as exc:
                    log.info("firing_claim_conflict", reason=exc.body.message)
                    return False  # the job has changed since it was read
                except (TransientError, AccessError) as exc:
                    log.warning("firing_claim_failed", attempt=attempt, error=str(exc))
                except RestError as exc:
                    log.error("firing_claim_refused", error=str(exc))  # noqa: TRY400 - the reason is in the answer
                    return True
                else:
                    on_claim(firing)
                    return self._send_and_report(job, firing)
            return False

    def resume(self, job: CronJobRead | None, firing: FiringRead) -> bool:
        """Finish an open firing that nobody works on; return False where it stays open.

        A firing of this scheduler's name that is not in progress here is left over from an earlier process, a
        claim without an answer, or an outage. If its job is switched off, the firing is reported as failed.
        """
        age = self._clock.now() - (firing.started_at or firing.created_at)
        if firing.claimed_by != self._rest.name and age <= RESUME_AFTER:
            return True
        with self._exclusive(firing.cron_job_id, firing.scheduled_for) as is_free:
            if not is_free:
                return True
            log.warning("firing_resumed", claimed_at=firing.started_at)
            if job is None:
                return self._report(firing, FiringStatus.FAILED, "the job is no longer active")
            return self._send_and_report(job, firing)

    @contextmanager
    def _exclusive(self, job_id: int, scheduled_for: datetime) -> Iterator[bool]:
        """Yield whether no other thread works on this firing, and keep others from starting."""
        key = message_id(job_id, scheduled_for)
        with self._lock:
            is_free = key not in self._in_progress
            self._in_progress.add(key)
        try:
            with bind_correlation(key, job_id=job_id):
                yield is_free
        finally:
            if is_free:
                self._in_progress.discard(key)

    def _send_and_report(self, job: CronJobRead, firing: FiringRead) -> bool:
        if firing.status != FiringStatus.RUNNING:
            return True  # a claim that was repeated after the end
        text = self._text(job, firing)
        for attempt in self.attempts():
            try:
                new = self._redis.send_notification(
                    job.chat_id,
                    text,
                    job.priority,
                    user_id=job.user_id,
                    message_id=message_id(job.id, firing.scheduled_for),
                )
            except RedisError as exc:
                log.warning("notification_send_failed", attempt=attempt, error=str(exc))
            else:
                log.info("notification_sent", user_id=job.user_id, repeat=not new)
                return self._report(firing, FiringStatus.DONE)
        return False

    def _report(self, firing: FiringRead, status: FiringStatus, error: str | None = None) -> bool:
        try:
            self._rest.report_firing(firing, status, error)
        except (NotFoundError, ConflictError) as exc:
            log.info("firing_already_reported", reason=exc.body.code)  # or deleted with its job
        except KitError as exc:
            log.warning("firing_report_failed", status=status, error=str(exc))
            return False
        return True

    def _text(self, job: CronJobRead, firing: FiringRead) -> str:
        due = latest_missed_time(job, firing)
        if self._clock.now() - due <= LATE_AFTER:
            return job.message
        zone, language = job.timezone, None
        try:
            user = self._rest.get_user(job.user_id)
        except KitError as exc:
            log.warning("user_read_failed", error=str(exc))  # then in English, on the job's clock
        else:
            zone, language = user.timezone or zone, user.language
        return mark_late(job.message, due, _zone(zone), language)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # rest_service's machine knows more of them
        return ZoneInfo("UTC")
