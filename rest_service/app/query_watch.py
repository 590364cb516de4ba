"""Logs slow statements and counts the database's errors.

Statements are logged with `$1` in place of values, because values may be what people wrote.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

from service_kit.logging import get_logger

log = get_logger(__name__)

LONGEST = 2000
"""Characters of a statement in the log."""


@dataclass(slots=True)
class QueryWatch:
    """What was seen since the start; `slow_ms` of 0 logs nothing."""

    slow_ms: int
    slow: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """By SQLSTATE, or by the kind of exception where the database said nothing."""

    def install(self, engine: Engine) -> None:
        """Look at all that goes through `engine`."""
        event.listen(engine, "handle_error", self._count_error)
        if self.slow_ms:
            event.listen(engine, "before_cursor_execute", self._begin)
            event.listen(engine, "after_cursor_execute", self._end)

    def _begin(
        self,
        connection: Connection,
        _cursor: DBAPICursor,
        _statement: str,
        _parameters: object,
        _context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        # a connection runs one statement at a time, so its `info` has room for one start
        connection.info["began"] = time.perf_counter()

    def _end(
        self,
        connection: Connection,
        _cursor: DBAPICursor,
        statement: str,
        _parameters: object,
        _context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        took = (time.perf_counter() - connection.info["began"]) * 1000
        if took >= self.slow_ms:
            self.slow += 1
            log.warning("slow_query", ms=round(took), statement=" ".join(statement.split())[:LONGEST])

    def _count_error(self, context: ExceptionContext) -> None:
        self.count(context.original_exception)

    def count(self, error: BaseException) -> None:
        """One more error of the database."""
        self.errors[str(getattr(error, "sqlstate", None) or type(error).__name__)] += 1
