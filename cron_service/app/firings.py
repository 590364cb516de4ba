"""One firing of a job: claimed, sent, reported, in this order.

The claim (a row that is unique for job and time) makes sure that a firing is sent by one scheduler; the
message's id `job:<id>:<time>` makes sure that the queue takes it once. So every step may be repeated:

- not claimed (rest_service away): `fire` answers False, and the next refresh fires it, marked late;
- claimed, not sent (Redis away, or a crash): the firing stays open, and a later refresh resumes it;
- sent, not reported: resumed too; the queue drops the repeat.
"""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from redis.exceptions import RedisError

from service_kit.clock import Clock
from service_kit.contracts.cron import CronJobRead, FiringRead, FiringStatus
from service_kit.errors import AccessError, ConflictError, KitError, NotFoundError, RestError, TransientError
from service_kit.logging import correlated, get_logger

from .config import Settings
from .redis_client import RedisClient
from .rest_client import RestClient
from .texts import late

log = get_logger(__name__)

LATE_AFTER = timedelta(minutes=2)
"""A firing that is sent later than this says so; above the refresh interval."""


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

    def attempts(self) -> Iterator[int]:
        """MAX_RETRIES tries, RETRY_DELAY apart; no further one once the service stops."""
        for attempt in range(1, self._settings.max_retries + 1):
            yield attempt
            last = attempt == self._settings.max_retries
            if last or self._stopping.wait(self._settings.retry_delay):
                return

    def fire(self, job: CronJobRead, scheduled_for: datetime) -> bool:
        """Fire `job` for its time; False where it could not be claimed and must be fired later."""
        with correlated(message_id(job.id, scheduled_for), job_id=job.id):
            for attempt in self.attempts():
                try:
                    firing = self._rest.claim_firing(job.id, scheduled_for)
                except (ConflictError, NotFoundError) as exc:
                    log.info("firing_not_ours", reason=exc.body.code)
                    return True
                except (TransientError, AccessError) as exc:
                    log.warning("firing_not_claimed", attempt=attempt, error=str(exc))
                except RestError as exc:
                    log.error("firing_refused", error=str(exc))  # noqa: TRY400 - the reason is in the answer
                    return True
                else:
                    self._finish(job, firing)
                    return True
            return False

    def resume(self, job: CronJobRead | None, firing: FiringRead) -> bool:
        """Finish a firing that was claimed before; False where it stays open.

        Without its job (no longer active) it is given up.
        """
        with correlated(message_id(firing.cron_job_id, firing.scheduled_for), job_id=firing.cron_job_id):
            log.warning("firing_resumed", claimed_at=firing.started_at)
            if job is None:
                return self._report(firing, FiringStatus.FAILED, "the job is no longer active")
            return self._finish(job, firing)

    def _finish(self, job: CronJobRead, firing: FiringRead) -> bool:
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
                log.warning("notification_not_sent", attempt=attempt, error=str(exc))
            else:
                log.info("notification_sent", user_id=job.user_id, repeat=not new)
                return self._report(firing, FiringStatus.DONE)
        return False

    def _report(self, firing: FiringRead, status: FiringStatus, error: str | None = None) -> bool:
        try:
            self._rest.report_firing(firing, status, error)
        except (NotFoundError, ConflictError) as exc:
            log.info("firing_settled_elsewhere", reason=exc.body.code)  # or deleted with its job
        except KitError as exc:
            log.warning("firing_not_reported", status=status, error=str(exc))
            return False
        return True

    def _text(self, job: CronJobRead, firing: FiringRead) -> str:
        if self._clock.now() - firing.scheduled_for <= LATE_AFTER:
            return job.message
        zone, language = job.timezone, None
        try:
            user = self._rest.get_user(job.user_id)
        except KitError as exc:
            log.warning("user_unknown", error=str(exc))  # then in English, on the job's clock
        else:
            zone, language = user.timezone or zone, user.language
        return late(job.message, firing.scheduled_for, ZoneInfo(zone), language)
