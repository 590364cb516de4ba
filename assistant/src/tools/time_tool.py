"""The current time anywhere, and what a time here is there."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..utils.text import compact_json
from ..utils.zones import zone_or_none, zones_like
from .base import Arguments, BaseTool, InvalidInputError
from .registry import ToolKind, ToolSite
from .rest_service_tool import RestServiceTool

TIME_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "timezone": {
            "type": "string",
            "description": "IANA time zone wanted, such as Asia/Tokyo. Default: the user's own.",
        },
        "time": {
            "type": "string",
            "description": "Only to convert a time: HH:MM (today) or YYYY-MM-DDTHH:MM. Default: now.",
        },
        "from_timezone": {
            "type": "string",
            "description": "IANA time zone in which `time` is given. Default: the user's own.",
        },
    },
    "additionalProperties": False,
}
DESCRIPTION = "Current date, time and weekday in a time zone; converts a time from one zone to another."

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


class TimeTool(BaseTool):
    """Answers JSON: `{"date", "time", "weekday", "timezone", "utc_offset"}`.

    For a conversion the same stands once more under `from`, and `note` tells of a time that a clock
    change skips or repeats.
    """

    def __init__(
        self,
        name: str = "current_time",
        description: str = DESCRIPTION,
        schema: JsonSchema = TIME_SCHEMA,
        timeout: float | None = None,
    ) -> None:
        super().__init__(name=name, description=description, schema=schema, timeout=timeout)

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """The time asked for; raises InvalidInputError for an unknown zone or an unreadable time."""
        wanted = _zone(arguments.get("timezone"), context.user.timezone)
        given = arguments.get("time")
        if not given:
            return compact_json(_described(context.utc_now(), wanted))
        source = _zone(arguments.get("from_timezone"), context.user.timezone)
        try:
            moment, note = _moment(str(given), source, context.utc_now())
            answer = _described(moment, wanted) | {"from": _described(moment, source)} | note
        except OverflowError as exc:
            msg = f"{given!r} is out of the calendar's range"
            raise InvalidInputError(msg) from exc
        return compact_json(answer)


def _zone(name: object, default: ZoneInfo) -> ZoneInfo:
    if not name:
        return default
    wanted = str(name).strip()
    if (zone := zone_or_none(wanted)) is not None:
        return zone
    similar = zones_like(wanted)
    if len(similar) == 1 and similar[0].rsplit("/", 1)[-1].lower() == wanted.replace(" ", "_").lower():
        return ZoneInfo(similar[0])
    hint = f"perhaps {' or '.join(similar)}" if similar else "give the zone of the nearest large city"
    msg = f"{wanted!r} is not an IANA time zone; {hint}; the form is Area/City, such as Europe/Berlin"
    raise InvalidInputError(msg)


def _moment(text: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, dict[str, str]]:
    """The instant that `text` means in `zone`, in UTC, and what is odd about it."""
    naive = _parsed(text.strip(), zone, now)
    if naive.tzinfo is not None:
        return naive.astimezone(UTC), {}
    local = naive.replace(tzinfo=zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != naive:
        return moment, {"note": f"{naive:%H:%M} does not exist that day in {zone.key}: the clocks go forward"}
    if local.replace(fold=1).astimezone(UTC) != moment:
        return moment, {"note": f"{naive:%H:%M} comes twice that day in {zone.key}; this is the first"}
    return moment, {}


def _parsed(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        today: date = now.astimezone(zone).date()
        return datetime.combine(today, time(hour, minute, second))
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        msg = f"{text!r} is not a time; write HH:MM or YYYY-MM-DDTHH:MM"
        raise InvalidInputError(msg) from exc


def _described(moment: datetime, zone: ZoneInfo) -> dict[str, Any]:
    local = moment.astimezone(zone)
    return {
        "date": local.date().isoformat(),
        "time": f"{local:%H:%M}",
        "weekday": f"{local:%A}",
        "timezone": zone.key,
        "utc_offset": offset_text(local),
    }


def offset_text(local: datetime) -> str:
    """The moment's distance from UTC: `+05:30`, `-03:00`."""
    minutes = int((local.utcoffset() or timedelta()).total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _build(source: RestServiceTool, site: ToolSite) -> BaseTool:
    return TimeTool(
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(TIME_SCHEMA),
        timeout=site.tool_timeout,
    )


TOOL_KIND = ToolKind("time", _build)
