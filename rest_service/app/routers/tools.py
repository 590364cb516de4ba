"""`/api/tools`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from service_kit.contracts.tools import ToolCreate, ToolRead, ToolUpdate

from ..access import ADMIN, CONFIGURATION
from ..dependencies import Page, PartsDep, ReadUnit, SearchText, TypeName, WriteUnit, set_total
from ..repositories.tools import ToolRepository
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/tools", "tools")


class ToolFilter(Page):
    """Which tools."""

    tool_type: TypeName | None = None
    is_active: bool | None = None
    assistant_id: UUID | None = None
    """The assistant that `sub_assistant` tools ask."""
    search: SearchText | None = None
    """Part of the name, in any case."""


@router.get("", dependencies=CONFIGURATION, responses=TOTAL)
async def list_tools(
    unit: ReadUnit, response: Response, query: Annotated[ToolFilter, Query()]
) -> list[ToolRead]:
    """Tools, by name."""
    tools = ToolRepository(unit)
    wanted = tools.equal(
        tool_type=query.tool_type, is_active=query.is_active, assistant_id=query.assistant_id
    )
    rows, total = await tools.page(query.window, wanted + tools.name_contains(query.search))
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=ADMIN, responses=BODY | CLASH)
async def create_tool(parts: PartsDep, unit: WriteUnit, body: ToolCreate) -> ToolRead:
    """A new tool. Give it to an assistant at `/api/assistant-tools`."""
    await parts.tool_types.require(body.tool_type)
    return await ToolRepository(unit).create(body)


@router.get("/{tool_id}", dependencies=CONFIGURATION, responses=MISSING)
async def get_tool(unit: ReadUnit, tool_id: UUID) -> ToolRead:
    """One tool."""
    return await ToolRepository(unit).get(tool_id)


@router.put("/{tool_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def replace_tool(parts: PartsDep, unit: WriteUnit, tool_id: UUID, body: ToolCreate) -> ToolRead:
    """The whole tool anew; what is not sent takes its default."""
    await parts.tool_types.require(body.tool_type)
    return await ToolRepository(unit).replace(tool_id, body)


@router.patch("/{tool_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def update_tool(parts: PartsDep, unit: WriteUnit, tool_id: UUID, body: ToolUpdate) -> ToolRead:
    """The fields that are sent; the others stay."""
    await parts.tool_types.require(body.tool_type)
    return await ToolRepository(unit).patch(tool_id, body)


@router.delete("/{tool_id}", status_code=204, dependencies=ADMIN, responses=MISSING)
async def delete_tool(unit: WriteUnit, tool_id: UUID) -> None:
    """The tool and all links to it: no assistant has it any more."""
    await ToolRepository(unit).delete(tool_id)
