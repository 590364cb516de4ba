"""`/api/assistant-tools`: which assistant may use which tool."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from service_kit.contracts.assistants import AssistantToolCreate, AssistantToolRead, AssistantToolUpdate

from ..access import ADMIN, CONFIGURATION
from ..dependencies import Page, ReadUnit, WriteUnit, set_total
from ..repositories.links import LinkRepository
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/assistant-tools", "assistant-tools")


class LinkFilter(Page):
    """Which links."""

    assistant_id: UUID | None = None
    tool_id: UUID | None = None
    is_active: bool | None = None


@router.get("", dependencies=CONFIGURATION, responses=TOTAL)
async def list_assistant_tools(
    unit: ReadUnit, response: Response, query: Annotated[LinkFilter, Query()]
) -> list[AssistantToolRead]:
    """Links, oldest first."""
    links = LinkRepository(unit)
    wanted = links.equal(assistant_id=query.assistant_id, tool_id=query.tool_id, is_active=query.is_active)
    rows, total = await links.page(query.window, wanted)
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=ADMIN, responses=BODY | CLASH)
async def create_assistant_tool(unit: WriteUnit, body: AssistantToolCreate) -> AssistantToolRead:
    """Let an assistant use a tool; refused where assistants would ask each other in a circle."""
    return await LinkRepository(unit).create(body)


@router.get("/{link_id}", dependencies=CONFIGURATION, responses=MISSING)
async def get_assistant_tool(unit: ReadUnit, link_id: UUID) -> AssistantToolRead:
    """One link."""
    return await LinkRepository(unit).get(link_id)


@router.put("/{link_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def replace_assistant_tool(
    unit: WriteUnit, link_id: UUID, body: AssistantToolCreate
) -> AssistantToolRead:
    """The whole link anew; what is not sent takes its default."""
    return await LinkRepository(unit).replace(link_id, body)


@router.patch("/{link_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def update_assistant_tool(
    unit: WriteUnit, link_id: UUID, body: AssistantToolUpdate
) -> AssistantToolRead:
    """The fields that are sent; the others stay."""
    return await LinkRepository(unit).patch(link_id, body)


@router.delete("/{link_id}", status_code=204, dependencies=ADMIN, responses=MISSING)
async def delete_assistant_tool(unit: WriteUnit, link_id: UUID) -> None:
    """The assistant may no longer use the tool."""
    await LinkRepository(unit).delete(link_id)
