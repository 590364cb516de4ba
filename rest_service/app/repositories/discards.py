"""Queries on what is to be forgotten elsewhere."""

from sqlalchemy import exists

from service_kit.contracts.discards import DiscardKind, DiscardRead

from ..models import discards, threads
from .base import Repository, Window

_IN_USE_AGAIN = exists().where(
    discards.c.kind == DiscardKind.THREAD.value, threads.c.thread_id == discards.c.reference
)
"""A row names a thread that it, or another one, had given up: whoever forgot it now would break that row."""


class DiscardRepository(Repository[DiscardRead]):
    """`discards`; the database's triggers write them."""

    table = discards
    read = DiscardRead
    noun = "discard"
    order = (discards.c.id,)

    async def due(self, window: Window) -> tuple[list[DiscardRead], int]:
        """One page of what nothing here uses any more, and how much there is on all pages."""
        return await self.page(window, [~_IN_USE_AGAIN])
