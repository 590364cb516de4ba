"""Removes old firings and old usage records.

It works in small transactions, oldest rows first and by an index, so that no request waits for it. Several
processes share the work.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Column, DateTime, Delete, Table, any_, bindparam, delete, func, select
from sqlalchemy.exc import DBAPIError

from service_kit.logging import get_logger

from .config import Settings
from .database import Database
from .errors.api import UnavailableError
from .models import firings, usage_records

log = get_logger(__name__)

INTERVAL = 3600.0
"""Seconds between two rounds."""
BATCH = 1000
"""Rows of one transaction."""


def _removal(table: Table, time: Column[object]) -> Delete:
    old = select(table.c.id).where(time < bindparam("before", type_=DateTime(timezone=True)))
    # SKIP LOCKED: several processes remove rows without waiting for each other
    batch = old.order_by(time).limit(bindparam("batch")).with_for_update(skip_locked=True)
    # an array: for `IN` PostgreSQL may read the whole table to compare
    return delete(table).where(table.c.id == any_(func.array(batch.scalar_subquery())))


_FIRINGS = _removal(firings, firings.c.finished_at)
_USAGE = _removal(usage_records, usage_records.c.at)


class Retention:
    """Removes old rows as long as `run` runs."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._days: Mapping[Delete, int] = {
            _FIRINGS: settings.firing_retention_days,
            _USAGE: settings.usage_retention_days,
        }

    async def run(self) -> None:
        """Remove now and every hour; the database may be away."""
        while True:
            try:
                removed = await self.prune()
            except (UnavailableError, DBAPIError, TimeoutError) as exc:
                log.warning("old_rows_removal_failed", error=str(exc) or type(exc).__name__)
            else:
                log.info("old_rows_removed", rows=removed)
            await asyncio.sleep(INTERVAL)

    async def prune(self) -> int:
        """Remove all rows that are too old; return how many."""
        removed = 0
        for statement, days in self._days.items():
            values = {"before": self._database.clock.now() - timedelta(days=days), "batch": BATCH}
            count = BATCH if days else 0
            # a batch that is not full is the last one
            while count == BATCH:
                async with self._database.write_unit() as unit:
                    count = (await unit.connection.execute(statement, values)).rowcount
                removed += count
        return removed
