"""Reminders: jobs of rest_service that cron_service fires, whatever the models do by then.

The user is the one of the run. A job of anybody else is, for the model, not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from service_kit.contracts.cron import CronJobCreate, CronJobRead, CronJobUpdate
from service_kit.contracts.tools import ToolType

from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..services.reminders import NoReminderError, Reminders
from ..utils.text import compact_json, one_line
from ..utils.zones import zone_or_none
from .base import Arguments, BaseTool, InvalidInputError
from .moments import describe_moment, find_zone, parse_moment
from .receipts import format_reminder
from .registry import ToolKind, ToolSite, ToolSource

Body = TypeVar("Body", CronJobCreate, CronJobUpdate)

LISTED = 50
LONGEST = 2000
YEAR = 366 * 24 * 60
NAME = 80
"""Characters of a reminder's text that name its job in lists."""

REMINDER_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "action": {
            "type": "string",
            "enum": ["create", "list", "change", "cancel"],
            "description": "`create` needs text and one of at, in_minutes, cron; `change` and `cancel` need "
            "id; `list` nothing.",
        },
        "text": {
            "type": "string",
            "description": "What the user will be sent, in their language, worded as a reminder to them.",
        },
        "at": {
            "type": "string",
            "description": "Once, at this local time of the user: YYYY-MM-DDTHH:MM.",
        },
        "in_minutes": {
            "type": "integer",
            "minimum": 1,
            "maximum": YEAR,
            "description": "Once, so many minutes from now. Prefer it for `in 10 minutes`, `in 2 hours`.",
        },
        "cron": {
            "type": "string",
            "description": "Again and again, in local time of the user: five fields, minute hour "
            "day-of-month month weekday. `0 9 * * 1-5`: at 9:00 on weekdays; 0 and 7 are Sunday.",
        },
        "timezone": {
            "type": "string",
            "description": "IANA zone of `at` and `cron`. Only when the user's own is not known, or when "
            "they name another. Default: the user's own.",
        },
        "id": {"type": "integer", "description": "The reminder to change or cancel, as `list` tells it."},
    },
    "required": ["action"],
    "additionalProperties": False,
}
DESCRIPTION = (
    "Reminders of the user: create one for one time or a recurring one, list, change, cancel. Confirm only "
    "what the result says, with local time and zone."
)
_ASK_FOR_ZONE = (
    "the user's time zone is not known: ask in which city they are and call again with `timezone`; or, if "
    "they do not want to say, call with `timezone` UTC and tell them that the time is UTC. `in_minutes` "
    "works without a zone"
)


@dataclass(frozen=True, slots=True)
class _When:
    """The time of a reminder: `run_at` (aware, UTC) or `cron`; `note` for the model."""

    zone: ZoneInfo
    zone_given: bool
    """Whether the call names the zone."""
    run_at: datetime | None = None
    cron: str | None = None
    note: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """As a job has them; both times, for a change takes one in the place of the other."""
        return {"run_at": self.run_at, "cron_expression": self.cron, "timezone": self.zone.key}


class ReminderTool(BaseTool):
    """Answers JSON: `{"status", "reminder": {"id", "text", "next": {…}}}`, for `list` `{"reminders"}`.

    `next` is the next firing in local time; a recurring reminder has `cron` and `following` too.
    """

    has_effect = True

    def __init__(
        self,
        reminders: Reminders,
        name: str = "reminders",
        description: str = DESCRIPTION,
        schema: JsonSchema = REMINDER_SCHEMA,
        timeout: float | None = None,
    ) -> None:
        super().__init__(name=name, description=description, schema=schema, timeout=timeout)
        self._reminders = reminders

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """What was done, and to which reminder.

        Raises:
            InvalidInputError: something is missing, in the past, or not this user's.
            ToolExecutionError: rest_service did not do it, or did not say so.
        """
        # weaker models write "" for what they leave out
        given = {name: value for name, value in arguments.items() if value is not None and value != ""}
        match given.get("action"):
            case "create":
                answer = await self._create(given, context)
            case "list":
                answer = await self._list(context)
            case "change":
                answer = await self._change(given, context)
            case "cancel":
                answer = await self._cancel(given, context)
            case other:
                msg = f"there is no action {other!r}; there are: create, list, change, cancel"
                raise InvalidInputError(msg)
        return compact_json(answer)

    def receipt(
        self,
        arguments: Arguments,  # noqa: ARG002 - the result says it all
        result: str,
        context: RunContext,
    ) -> str:
        """Which reminder was set, changed or cancelled; looking at them changes nothing."""
        return format_reminder(json.loads(result), context.user.language)

    async def _create(self, given: Arguments, context: RunContext) -> dict[str, Any]:
        text, when = _read_text(given), _read_time(given, context)
        if text is None:
            msg = "say in `text` what to remind of"
            raise InvalidInputError(msg)
        if when is None:
            msg = "say when: one of at, in_minutes, cron"
            raise InvalidInputError(msg)
        job = await self._reminders.create(
            _validate(
                CronJobCreate,
                _text_fields(text)
                | when.fields
                | {"user_id": context.user.id, "idempotency_key": context.key},
            )
        )
        return await self._report("created", job, when, context)

    async def _list(self, context: RunContext) -> dict[str, Any]:
        jobs = await self._reminders.of_user(context.user.id)
        answer: dict[str, Any] = {"reminders": [_describe_reminder(job, context) for job in jobs[:LISTED]]}
        if len(jobs) > LISTED:
            answer["not_shown"] = len(jobs) - LISTED
        return answer

    async def _change(self, given: Arguments, context: RunContext) -> dict[str, Any]:
        text, when = _read_text(given), _read_time(given, context)
        # a new time replaces the old one whole: at and cron exclude each other
        fields = (_text_fields(text) if text else {}) | (when.fields if when else {})
        if not fields:
            msg = "say what to change: text, or one of at, in_minutes, cron"
            raise InvalidInputError(msg)
        change = _validate(CronJobUpdate, fields)
        job = await self._reminders.change(context.user.id, _read_id(given), change)
        return await self._report("changed", job, when, context)

    async def _cancel(self, given: Arguments, context: RunContext) -> dict[str, Any]:
        number = _read_id(given)
        try:
            job = await self._reminders.cancel(context.user.id, number)
        except NoReminderError:
            if not context.repeated:
                raise
            # an earlier delivery cancelled it, and its result was lost
            return {"status": "cancelled", "reminder": {"id": number}}
        return {"status": "cancelled", "reminder": {"id": job.id, "text": job.message}}

    async def _report(
        self, status: str, job: CronJobRead, when: _When | None, context: RunContext
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"status": status, "reminder": _describe_reminder(job, context, when)}
        notes = [] if when is None else [when.note, await self._about_zone(when, context)]
        note_text = "; ".join(note for note in notes if note)
        return answer | ({"note": note_text} if note_text else {})

    async def _about_zone(self, when: _When, context: RunContext) -> str | None:
        """What the model must know of the zone, where the user's was not known before.

        A zone that the user names for this reminder is stored, so that the next one does not ask again.
        """
        zone = when.zone.key
        if context.user.timezone_known:
            return None
        if not when.zone_given:
            return "the user's time zone is not known, this is UTC: say so"
        if zone == "UTC" or not await self._reminders.remember_zone(context.user.id, zone):
            return None
        return f"{zone} is kept as the user's time zone from now on: say so"


def _read_text(given: Arguments) -> str | None:
    text = str(given.get("text", "")).replace("\0", "").encode("utf-8", "replace").decode().strip()
    if len(text) > LONGEST:
        msg = f"the text has {len(text)} characters; {LONGEST} are possible"
        raise InvalidInputError(msg)
    return text or None


def _text_fields(text: str) -> dict[str, str]:
    return {"name": one_line(text, NAME) or "…", "message": text}


def _read_id(given: Arguments) -> int:
    if "id" not in given:
        msg = "say in `id` which reminder; `list` tells the ids"
        raise InvalidInputError(msg)
    return int(given["id"])


def _read_time(given: Arguments, context: RunContext) -> _When | None:
    """The time given; None where there is none."""
    times = [name for name in ("at", "in_minutes", "cron") if name in given]
    if not times:
        return None
    if len(times) > 1:
        msg = f"give only one of {', '.join(times)}"
        raise InvalidInputError(msg)
    now, zone_given = context.utc_now(), "timezone" in given
    zone = find_zone(given.get("timezone"), context.user.timezone, now)
    # before the zone is asked for: a distance in time needs none
    if "in_minutes" in given:
        return _When(zone, zone_given, run_at=now + timedelta(minutes=int(given["in_minutes"])))
    if not zone_given and not context.user.timezone_known:
        raise InvalidInputError(_ASK_FOR_ZONE)
    if "cron" in given:
        return _When(zone, zone_given, cron=" ".join(str(given["cron"]).split()))
    moment, note = _parse_future(str(given["at"]), zone, now)
    return _When(zone, zone_given, run_at=moment, note=note)


def _parse_future(text: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, str | None]:
    try:
        moment, note = parse_moment(text, zone, now)
        tomorrow = moment.astimezone(zone) + timedelta(days=1)
    except OverflowError as exc:
        msg = f"{text!r} is out of the calendar's range"
        raise InvalidInputError(msg) from exc
    if moment <= now:
        hint = f"; perhaps {tomorrow:%Y-%m-%dT%H:%M} is meant" if tomorrow > now else ""
        msg = f"{text} is over: it is {now.astimezone(zone):%Y-%m-%dT%H:%M} in {zone.key} now{hint}"
        raise InvalidInputError(msg)
    return moment, note


def _describe_reminder(job: CronJobRead, context: RunContext, when: _When | None = None) -> dict[str, Any]:
    """The reminder for the model: its next firing in the zone just named, else the user's, else its own."""
    own = zone_or_none(job.timezone) or context.user.timezone
    zone = when.zone if when else context.user.timezone if context.user.timezone_known else own
    reminder: dict[str, Any] = {"id": job.id, "text": job.message}
    if job.next_run_at is not None:
        reminder["next"] = describe_moment(job.next_run_at, zone)
    if not job.is_active:
        reminder["paused"] = True
    if job.cron_expression is not None:
        reminder |= {"cron": job.cron_expression, "cron_timezone": job.timezone}
        following = (job.next_firings or [])[1:]
        if following:
            reminder["following"] = [f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}" for moment in following]
    return reminder


def _validate(body: type[Body], fields: Mapping[str, Any]) -> Body:
    try:
        return body.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        msg = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InvalidInputError(msg) from exc


def _build(source: ToolSource, site: ToolSite) -> BaseTool:
    return ReminderTool(
        Reminders(site.services.rest),
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(REMINDER_SCHEMA),
        timeout=site.tool_timeout,
    )


TOOL_KIND = ToolKind(ToolType.REMINDER, _build)
