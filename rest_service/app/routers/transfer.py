"""`/api/export` and `/api/import`: assistants, tools and links as one document."""

import asyncio
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from service_kit.changes import Topic
from service_kit.contracts.transfer import Configuration, ImportResult

from .. import transfer
from ..access import ADMIN
from ..dependencies import JSON, PartsDep, WriteUnit
from ..routing import BODY, CLASH, LARGE
from ..routing import router as new_router

router = new_router("", "import and export")


class ImportQuery(BaseModel):
    """How to import."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, description="True: only say what would change.")


@router.get("/export", dependencies=ADMIN, response_model=Configuration)
async def export_configuration(unit: WriteUnit) -> Response:
    """All assistants, tools and links, by name, in a stable order: fit for a file under version control."""
    stored = await unit.connection.run_sync(transfer.read_snapshot)
    # what is not set is left out, so that a file says no more than it must
    text = stored.document().model_dump_json(exclude_none=True, warnings=False)
    return Response(text, media_type=JSON)


@router.post("/import", dependencies=ADMIN, responses=BODY | LARGE | CLASH)
async def import_configuration(
    parts: PartsDep,
    unit: WriteUnit,
    query: Annotated[ImportQuery, Query()],
    body: Configuration,
) -> ImportResult:
    """Make and change what the document names; nothing is deleted.

    The whole document is checked first, and everything or nothing is written. A second import of the
    same document changes nothing. With `dry_run=true` the answer is the difference, and nothing is written.
    """
    known = await parts.tool_types.read()
    # many schemas take seconds, in which nobody else would be answered
    problems = await asyncio.to_thread(transfer.find_schema_problems, body)

    def run(connection: Connection) -> ImportResult:
        return transfer.import_document(
            connection, body, known, dry_run=query.dry_run, schema_problems=problems
        )

    result = await unit.connection.run_sync(run)
    if result.changes and not query.dry_run:
        unit.mark_changed(Topic.CONFIGURATION)
    return result.model_copy(update={"warnings": await parts.model_names.warnings(body.assistants)})
