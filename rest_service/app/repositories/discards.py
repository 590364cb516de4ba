"""Queries on discards: what assistant must still delete at the provider or in Redis."""

from sqlalchemy import select

from service_kit.contracts.discards import DiscardKind, DiscardRead

from ..models import discards, threads
from .base import Repository, Window

_USING_IT_AGAIN = (
    select(threads.c.id)
    .where(discards.c.kind == DiscardKind.THREAD.value, threads.c.thread_id == discards.c.reference)
    .limit(1)
    .scalar_subquery()
)
"""A row that names the discarded thread again; deleting the thread at the provider would break that row.
Not `exists`: PostgreSQL would make a join of it, and read both tables whole for one page."""


class DiscardRepository(Repository[DiscardRead]):
    """`discards`; the database's triggers write them."""

    table = discards
    read = DiscardRead
    noun = "discard"
    order = (discards.c.id,)

    async def due(self, window: Window) -> tuple[list[DiscardRead], int]:
        """One page of what nothing here uses any more, and how much there is on all pages."""
        return await self.page(window, [_USING_IT_AGAIN.is_(None)])
