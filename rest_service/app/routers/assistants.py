"""`/api/assistants`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from service_kit.contracts.assistants import (
    AssistantCreate,
    AssistantRead,
    AssistantSaved,
    AssistantTree,
    AssistantUpdate,
)

from ..access import ADMIN, CONFIGURATION
from ..dependencies import JSON, Page, PartsDep, ReadUnit, SearchText, TypeName, WriteUnit, set_total
from ..repositories.assistants import DEFAULT_FIRST, AssistantRepository
from ..repositories.tree import read_tree
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/assistants", "assistants")


class AssistantFilter(Page):
    """Which assistants."""

    is_secretary: bool | None = None
    is_active: bool | None = None
    assistant_type: TypeName | None = None
    search: SearchText | None = None
    """Part of the name, in any case."""


@router.get("", dependencies=CONFIGURATION, responses=TOTAL)
async def list_assistants(
    unit: ReadUnit, response: Response, query: Annotated[AssistantFilter, Query()]
) -> list[AssistantRead]:
    """Assistants, oldest first; of secretaries (`is_secretary=true`) the default one before all others."""
    assistants = AssistantRepository(unit)
    wanted = assistants.equal(
        is_secretary=query.is_secretary, is_active=query.is_active, assistant_type=query.assistant_type
    )
    first = DEFAULT_FIRST if query.is_secretary else ()
    rows, total = await assistants.page(
        query.window, wanted + assistants.name_contains(query.search), first=first
    )
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=ADMIN, responses=BODY | CLASH)
async def create_assistant(parts: PartsDep, unit: WriteUnit, body: AssistantCreate) -> AssistantSaved:
    """A new assistant. Give it tools at `/api/assistant-tools`."""
    return await parts.model_names.add_warnings(await AssistantRepository(unit).create(body))


@router.get("/{assistant_id}", dependencies=CONFIGURATION, responses=MISSING)
async def get_assistant(unit: ReadUnit, assistant_id: UUID) -> AssistantRead:
    """One assistant."""
    return await AssistantRepository(unit).get(assistant_id)


@router.get(
    "/{assistant_id}/tree", dependencies=CONFIGURATION, responses=MISSING, response_model=AssistantTree
)
async def get_assistant_tree(unit: ReadUnit, assistant_id: UUID) -> Response:
    """The assistant with all tools, links and sub-assistants it can reach; active rows only."""
    return Response(await read_tree(unit, assistant_id), media_type=JSON)


@router.put("/{assistant_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def replace_assistant(
    parts: PartsDep, unit: WriteUnit, assistant_id: UUID, body: AssistantCreate
) -> AssistantSaved:
    """The whole assistant anew; what is not sent takes its default."""
    return await parts.model_names.add_warnings(await AssistantRepository(unit).replace(assistant_id, body))


@router.patch("/{assistant_id}", dependencies=ADMIN, responses=BODY | MISSING | CLASH)
async def update_assistant(
    parts: PartsDep, unit: WriteUnit, assistant_id: UUID, body: AssistantUpdate
) -> AssistantSaved:
    """The fields that are sent; the others stay, within `settings` too."""
    return await parts.model_names.add_warnings(await AssistantRepository(unit).patch(assistant_id, body))


@router.delete("/{assistant_id}", status_code=204, dependencies=ADMIN, responses=MISSING | CLASH)
async def delete_assistant(unit: WriteUnit, assistant_id: UUID) -> None:
    """The assistant with its own links and threads; refused while others ask it."""
    await AssistantRepository(unit).remove(assistant_id)
