"""The current time anywhere, and what a time here is there."""

from service_kit.contracts.tools import ToolType

from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..utils.text import compact_json
from .base import Arguments, BaseTool, InvalidInputError
from .moments import describe_moment, find_zone, parse_moment
from .registry import ToolKind, ToolSite, ToolSource

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
        now = context.utc_now()
        wanted = find_zone(arguments.get("timezone"), context.user.timezone, now)
        given = arguments.get("time")
        if not given:
            return compact_json(describe_moment(now, wanted))
        source = find_zone(arguments.get("from_timezone"), context.user.timezone, now)
        try:
            moment, note = parse_moment(str(given), source, now)
            answer = describe_moment(moment, wanted) | {"from": describe_moment(moment, source)}
        except OverflowError as exc:
            msg = f"{given!r} is out of the calendar's range"
            raise InvalidInputError(msg) from exc
        return compact_json(answer | {"note": note} if note else answer)


def _build(source: ToolSource, site: ToolSite) -> BaseTool:
    return TimeTool(
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(TIME_SCHEMA),
        timeout=site.tool_timeout,
    )


TOOL_KIND = ToolKind(ToolType.TIME, _build)
