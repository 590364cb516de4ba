"""`/api/calendar`: whether a user has linked Google Calendar, and, for the services alone, the tokens."""

from typing import Annotated

from fastapi import Query, Response

from service_kit.contracts.calendar import (
    CalendarRead,
    CalendarStatus,
    CalendarTokens,
    CalendarTokensWrite,
    CalendarUpdate,
)

from ..access import ADMIN, CALENDAR, TOKENS
from ..dependencies import Page, PartsDep, ReadUnit, RowPath, WriteUnit, set_total
from ..repositories.calendar import CalendarRepository
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/calendar", "calendar")


class CalendarFilter(Page):
    """Which links to calendars."""

    status: CalendarStatus | None = None


@router.get("", dependencies=ADMIN, responses=TOTAL)
async def list_calendars(
    unit: ReadUnit, response: Response, query: Annotated[CalendarFilter, Query()]
) -> list[CalendarRead]:
    """Who has linked a calendar, by user id; no tokens."""
    calendars = CalendarRepository(unit)
    rows, total = await calendars.page(query.window, calendars.equal(status=query.status))
    set_total(response, total)
    return rows


@router.get("/{user_id}", dependencies=CALENDAR, responses=MISSING)
async def get_calendar(unit: ReadUnit, user_id: RowPath) -> CalendarRead:
    """Whether a user has linked a calendar; no tokens."""
    return await CalendarRepository(unit).get(user_id)


@router.patch("/{user_id}", dependencies=CALENDAR, responses=BODY | MISSING)
async def update_calendar(unit: WriteUnit, user_id: RowPath, body: CalendarUpdate) -> CalendarRead:
    """Note that the grant was revoked (or holds again)."""
    calendars = CalendarRepository(unit)
    return await calendars.update(user_id, calendars.changes(body))


@router.delete("/{user_id}", status_code=204, dependencies=CALENDAR, responses=MISSING)
async def delete_calendar(unit: WriteUnit, user_id: RowPath) -> None:
    """Delete the tokens. The grant at Google stays."""
    await CalendarRepository(unit).delete(user_id)


@router.get("/{user_id}/tokens", dependencies=TOKENS, responses=MISSING | CLASH)
async def get_calendar_tokens(parts: PartsDep, unit: ReadUnit, user_id: RowPath) -> CalendarTokens:
    """The tokens in clear. For the calendar service alone: the admin has no use for them."""
    box = await parts.calendar_keys.box()
    return await CalendarRepository(unit).tokens(user_id, box)


@router.put("/{user_id}/tokens", dependencies=TOKENS, responses=BODY)
async def store_calendar_tokens(
    parts: PartsDep, unit: WriteUnit, user_id: RowPath, body: CalendarTokensWrite
) -> CalendarRead:
    """Keep the outcome of a consent or a refresh, encrypted; an old refresh token stays where none comes."""
    box = await parts.calendar_keys.box()
    return await CalendarRepository(unit).store(user_id, body, box)
