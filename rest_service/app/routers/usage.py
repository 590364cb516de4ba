"""`/api/usage`: what answering has cost, by user, assistant, model and message."""

from typing import Annotated
from uuid import UUID

from fastapi import Body, Query, Response
from pydantic import Field

from service_kit.contracts.base import Moment
from service_kit.contracts.usage import (
    MAX_RECORDS,
    UsageCreate,
    UsageGroup,
    UsageKind,
    UsageRead,
    UsageStored,
    UsageTotal,
)

from ..access import ADMIN, USAGE
from ..dependencies import Page, ReadUnit, RowFilter, SearchText, WriteUnit, set_total
from ..repositories.usage import UsageRepository
from ..routing import BODY, TOTAL
from ..routing import router as new_router

router = new_router("/usage", "usage")


class Period(Page):
    """Of which time."""

    since: Moment | None = Field(default=None, description="Messages answered at this time or later.")
    until: Moment | None = Field(default=None, description="Messages answered before this time.")


class UsageFilter(Period):
    """Which records."""

    user_id: RowFilter | None = None
    assistant_id: UUID | None = None
    model: SearchText | None = Field(default=None, description="Only of this model, as `provider/name`.")
    kind: UsageKind | None = Field(default=None, description="Only `answer`, or only `summary`.")


class TotalsQuery(Period):
    """What is summed over."""

    group_by: UsageGroup = Field(
        default=UsageGroup.DAY, description="One sum for each `user`, `assistant`, `model` or `day` (UTC)."
    )


@router.post("", dependencies=USAGE, responses=BODY)
async def record_usage(
    unit: WriteUnit, records: Annotated[list[UsageCreate], Body(max_length=MAX_RECORDS)]
) -> UsageStored:
    """Store records, up to 500 at once; those whose `id` is known already stay as they are.

    So the same request may be sent again. A user or assistant that is no more is left out of the record.
    """
    # a record that is known stays: the sender repeats what was not answered
    return UsageStored(stored=await UsageRepository(unit).store(records))


@router.get("", dependencies=ADMIN, responses=TOTAL)
async def list_usage(
    unit: ReadUnit, response: Response, query: Annotated[UsageFilter, Query()]
) -> list[UsageRead]:
    """Records, the newest first."""
    usage = UsageRepository(unit)
    wanted = usage.equal(
        user_id=query.user_id, assistant_id=query.assistant_id, model=query.model, kind=query.kind
    )
    rows, total = await usage.page(query.window, wanted + usage.between(query.since, query.until))
    set_total(response, total)
    return rows


@router.get("/totals", dependencies=ADMIN, responses=TOTAL)
async def sum_usage(
    unit: ReadUnit, response: Response, query: Annotated[TotalsQuery, Query()]
) -> list[UsageTotal]:
    """Sums by user, assistant, model or day: the largest first, days from the newest.

    Without `since` it reads every record there is.
    """
    usage = UsageRepository(unit)
    rows, total = await usage.totals(query.group_by, query.window, usage.between(query.since, query.until))
    set_total(response, total)
    return rows
