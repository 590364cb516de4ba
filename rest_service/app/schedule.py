"""When a job fires: standard five-field cron in the job's own zone, by cronsim.

Days: with both day fields restricted, a day that matches either of them counts; when one begins with
`*`, both must match (Debian's cron, which crontab(5) describes). Clock changes, for jobs at fixed
hours: a time that is skipped in spring fires at the end of the gap, a time that comes twice in autumn
fires at its first coming. Jobs with `*` in the minute or hour follow real time. cron_service fires
with the same library; what is computed here is shown to people and kept in `next_run_at`.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = (
    "minute (0-59)",
    "hour (0-23)",
    "day of month (1-31)",
    "month (1-12 or JAN-DEC)",
    "weekday (0-7 or SUN-SAT)",
)


def problem(expression: str) -> str | None:
    """What is wrong with `expression`, as a sentence; None where it is right."""
    parts = expression.split()
    if expression.lstrip().startswith("@"):
        return (
            "Macros like @daily are not supported; write five fields, such as '0 9 * * *' for 9:00 every day."
        )
    if len(parts) != len(_FIELDS):
        return (
            f"A cron expression has five fields (minute hour day month weekday), this one has {len(parts)}; "
            "'0 9 * * 1-5' is 9:00 on weekdays."
        )
    for position, (part, field) in enumerate(zip(parts, _FIELDS, strict=True)):
        alone = ["*"] * len(_FIELDS)
        alone[position] = part
        if not _parses(" ".join(alone)):
            return f"{part!r} is not a valid {field}."
    if not _parses(expression) or next_firing(expression, "UTC", datetime.now(UTC)) is None:
        return "There is no such day: this job would never fire."
    return None


def next_firing(expression: str, timezone: str, after: datetime) -> datetime | None:
    """The first firing after `after` (UTC); None where there is none within 50 years."""
    local = after.astimezone(UTC if timezone == "UTC" else ZoneInfo(timezone))
    found = next(CronSim(expression, local), None)
    return found.astimezone(UTC) if found else None


def _parses(expression: str) -> bool:
    try:
        CronSim(expression, datetime.now(UTC))
    except CronSimError:
        return False
    return True
