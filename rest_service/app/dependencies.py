"""The dependencies of route handlers.

All of them are `async`: FastAPI runs a plain function in its thread pool.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError

from .announcements import Announcer
from .credentials import CalendarKeys
from .database import Database, UnitOfWork
from .model_names import ModelNames
from .repositories.base import Window
from .tool_types import ToolTypes


@dataclass(frozen=True, slots=True)
class Parts:
    """What `main` has built, as `app.state.parts`."""

    database: Database
    announcer: Announcer
    calendar_keys: CalendarKeys
    tool_types: ToolTypes
    model_names: ModelNames


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def read_unit(parts: PartsDep) -> AsyncIterator[UnitOfWork]:
    """A unit of work for statements that change nothing."""
    async with parts.database.read_unit() as unit:
        yield unit


async def write_unit(parts: PartsDep) -> AsyncIterator[UnitOfWork]:
    """A unit of work in one transaction; what it has changed is announced after the commit."""
    unit: UnitOfWork | None = None
    try:
        async with parts.database.write_unit() as unit:
            yield unit
    except (DBAPIError, TimeoutError) as exc:
        # the connection is lost, and with it the answer to a commit that may have come through
        if unit is not None and (isinstance(exc, TimeoutError) or exc.connection_invalidated):
            await parts.announcer.announce(unit.topics)
        raise
    await parts.announcer.announce(unit.topics)


# "function": by default FastAPI keeps a yielding dependency open until the answer has been sent. That would
# hold the connection for as long as the client reads, and commit too late to answer a refusal.
ReadUnit = Annotated[UnitOfWork, Depends(read_unit, scope="function")]
WriteUnit = Annotated[UnitOfWork, Depends(write_unit, scope="function")]

JSON = "application/json"

RowPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
BigRowPath = Annotated[int, Path(ge=1, le=2**53)]
RowFilter = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _storable(value: str) -> str:
    if "\0" in value:
        msg = "must not contain NUL characters"
        raise ValueError(msg)
    return value


SearchText = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_storable)]
TypeName = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_storable)]


class Page(BaseModel):
    """The query of every list; unknown parameters are refused, as a misspelt filter would show too much."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=500, description="Rows at most.")
    offset: int = Field(default=0, ge=0, le=2**31 - 1, description="Rows to skip.")

    @property
    def window(self) -> Window:
        """`limit` and `offset`."""
        return Window(self.limit, self.offset)


PageQuery = Annotated[Page, Query()]


def set_total(response: Response, total: int) -> None:
    """Say how many rows there are on all pages."""
    response.headers["X-Total-Count"] = str(total)
