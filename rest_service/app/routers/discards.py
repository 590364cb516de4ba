"""`/api/discards`: what was deleted here and is still kept at a provider or by assistant."""

from fastapi import Response

from service_kit.contracts.discards import DiscardRead

from ..access import THREADS
from ..dependencies import BigRowPath, PageQuery, ReadUnit, WriteUnit, set_total
from ..repositories.discards import DiscardRepository
from ..routing import MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/discards", "discards")


@router.get("", dependencies=THREADS, responses=TOTAL)
async def list_discards(unit: ReadUnit, response: Response, page: PageQuery) -> list[DiscardRead]:
    """What is to be forgotten elsewhere, oldest first; made by the database with every deletion.

    A thread that a row of `/api/user-threads` names again is not listed.
    """
    rows, total = await DiscardRepository(unit).due(page.window)
    set_total(response, total)
    return rows


@router.delete("/{discard_id}", status_code=204, dependencies=THREADS, responses=MISSING)
async def delete_discard(unit: WriteUnit, discard_id: BigRowPath) -> None:
    """It is forgotten there too."""
    await DiscardRepository(unit).delete(discard_id)
