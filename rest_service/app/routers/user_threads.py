"""`/api/user-threads`: conversations kept at the provider, one for each user and assistant."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from service_kit.contracts.threads import UserThreadCreate, UserThreadRead, UserThreadUpdate

from ..access import THREADS
from ..dependencies import Page, ReadUnit, RowFilter, WriteUnit, set_total
from ..repositories.threads import ThreadRepository
from ..routing import BODY, CLASH, MISSING, TOTAL
from ..routing import router as new_router

router = new_router("/user-threads", "user-threads")


class ThreadFilter(Page):
    """Which threads."""

    user_id: RowFilter | None = None
    assistant_id: UUID | None = None


@router.get("", dependencies=THREADS, responses=TOTAL)
async def list_user_threads(
    unit: ReadUnit, response: Response, query: Annotated[ThreadFilter, Query()]
) -> list[UserThreadRead]:
    """Threads, oldest first."""
    threads = ThreadRepository(unit)
    wanted = threads.equal(user_id=query.user_id, assistant_id=query.assistant_id)
    rows, total = await threads.page(query.window, wanted)
    set_total(response, total)
    return rows


@router.post("", status_code=201, dependencies=THREADS, responses=BODY | CLASH)
async def create_user_thread(unit: WriteUnit, body: UserThreadCreate) -> UserThreadRead:
    """A new thread; a user has one with each assistant."""
    return await ThreadRepository(unit).create(body)


@router.get("/{thread_row_id}", dependencies=THREADS, responses=MISSING)
async def get_user_thread(unit: ReadUnit, thread_row_id: UUID) -> UserThreadRead:
    """One thread."""
    return await ThreadRepository(unit).get(thread_row_id)


@router.put("/{thread_row_id}", dependencies=THREADS, responses=BODY | MISSING | CLASH)
async def replace_user_thread(unit: WriteUnit, thread_row_id: UUID, body: UserThreadCreate) -> UserThreadRead:
    """The whole thread anew, such as another `thread_id` after the provider has lost the old one."""
    return await ThreadRepository(unit).update(thread_row_id, body.model_dump())


@router.patch("/{thread_row_id}", dependencies=THREADS, responses=BODY | MISSING | CLASH)
async def update_user_thread(unit: WriteUnit, thread_row_id: UUID, body: UserThreadUpdate) -> UserThreadRead:
    """The fields that are sent; the others stay."""
    threads = ThreadRepository(unit)
    return await threads.update(thread_row_id, threads.changes(body))


@router.delete("/{thread_row_id}", status_code=204, dependencies=THREADS, responses=MISSING)
async def delete_user_thread(unit: WriteUnit, thread_row_id: UUID) -> None:
    """Delete the thread. `/api/discards` lists it until assistant has deleted it at the provider."""
    await ThreadRepository(unit).delete(thread_row_id)
