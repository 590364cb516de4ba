"""APScheduler's view of a job's schedule.

APScheduler's own `from_crontab` counts weekdays from Monday and joins day-of-month and weekday with
"and"; what a cron expression means, also when clocks change, is `service_kit.schedule`'s.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

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
