"""APScheduler's view of a job's schedule.

APScheduler's own `from_crontab` counts weekdays from Monday and joins day-of-month and weekday with
"and"; what a cron expression means, also when clocks change, is `service_kit.schedule`'s.
"""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.base import BaseTrigger

from service_kit.contracts.cron import CronJobRead, FiringRead
from service_kit.schedule import Schedule


class CronSimTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no annotations
    """Fires when a cron expression matches the wall clock of a zone."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Raises ValueError for what is not a five-field cron expression, with the reason."""
        self.schedule = Schedule(expression, zone)

    def __str__(self) -> str:
        return f"cron[{self.schedule.expression} {self.schedule.zone.key}]"

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next firing in UTC: after the previous one, or at `now` or later where there was none."""
        if previous_fire_time is None:
            return self.schedule.at_or_after(now)
        return self.schedule.after(previous_fire_time)


def latest_missed_time(job: CronJobRead, firing: FiringRead) -> datetime:
    """The last of the times for which `firing` makes up: it stands for all up to its claim."""
    try:
        schedule = Schedule(job.cron_expression or "", ZoneInfo(job.timezone))
    except (ValueError, ZoneInfoNotFoundError):  # a one-shot, or changed since to what is not known here
        return firing.scheduled_for
    claimed_at = firing.started_at or firing.scheduled_for
    return schedule.latest(firing.scheduled_for, claimed_at) or firing.scheduled_for
