"""What route handlers are given.

`scope="function"` matters: FastAPI's default keeps a yielding dependency open until the answer has
been sent, which would hold the connection for as long as the client reads, and would commit too late
for a refusal to be answered. And all of them are `async`, for a plain function costs a trip through
the thread pool.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError

from service_kit.clock import Clock

from .announcements import Announcer
from .credentials import CalendarKeys
from .crypto import TokenBox
from .database import Database, Unit
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
    clock: Clock


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


GivenParts = Annotated[Parts, Depends(_parts)]


async def reading(parts: GivenParts) -> AsyncIterator[Unit]:
    """A unit for statements that change nothing."""
    async with parts.database.reading() as unit:
        yield unit


async def writing(parts: GivenParts) -> AsyncIterator[Unit]:
    """A unit in one transaction; what it has changed is announced after the commit."""
    unit: Unit | None = None
    try:
        async with parts.database.writing() as unit:
            yield unit
    except (DBAPIError, TimeoutError) as exc:
        # the connection is lost, and with it the answer to a commit that may have come through
        if unit is not None and (isinstance(exc, TimeoutError) or exc.connection_invalidated):
            await parts.announcer.announce(unit.topics)
        raise
    await parts.announcer.announce(unit.topics)


async def _clock(parts: GivenParts) -> Clock:
    return parts.clock


async def _tokens(parts: GivenParts) -> TokenBox:
    return await parts.calendar_keys.box()


async def _tool_types(parts: GivenParts) -> ToolTypes:
    return parts.tool_types


async def _model_names(parts: GivenParts) -> ModelNames:
    return parts.model_names


Reading = Annotated[Unit, Depends(reading, scope="function")]
Writing = Annotated[Unit, Depends(writing, scope="function")]
GivenClock = Annotated[Clock, Depends(_clock)]
Tokens = Annotated[TokenBox, Depends(_tokens)]
GivenToolTypes = Annotated[ToolTypes, Depends(_tool_types)]
GivenModelNames = Annotated[ModelNames, Depends(_model_names)]

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
        """The rows asked for."""
        return Window(self.limit, self.offset)


PageQuery = Annotated[Page, Query()]


def set_total(response: Response, total: int) -> None:
    """Say how many rows there are on all pages."""
    response.headers["X-Total-Count"] = str(total)
