"""What this service itself says to users, in English and Russian."""

from datetime import datetime
from zoneinfo import ZoneInfo

_LATE = {
    "en": "⏰ (late, was due {due})",
    "ru": "⏰ (с опозданием, было назначено на {due})",
}


def mark_late(message: str, due: datetime, zone: ZoneInfo, language: str | None) -> str:
    """`message`, marked as late with the time it was due on the user's clock."""
    known = "ru" if (language or "").lower().split("-")[0] == "ru" else "en"
    local = f"{due.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"
    return f"{_LATE[known].format(due=local)}\n{message}"
