"""The engine, and one request's access to it.

A request gets a `UnitOfWork`. One that writes is one transaction, committed at the edge
(`dependencies.write_unit`) before the answer goes out; the changes are announced after the commit. One that
reads is in autocommit: one statement, one round trip.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service_kit.changes import Topic
from service_kit.clock import Clock, SystemClock
from service_kit.logging import get_logger

from .config import DatabaseSettings
from .errors.api import UnavailableError
from .query_watch import QueryWatch

log = get_logger(__name__)

CONNECT_TIMEOUT = 5.0
POOL_TIMEOUT = 5.0
COMMAND_TIMEOUT = 15.0
"""Seconds the client waits for one statement; above the server's own limit, which says why."""
POOL_RECYCLE = 1800
SERVER_SETTINGS = {
    "application_name": "rest_service",
    "timezone": "UTC",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "30000",
    "jit": "off",  # its planning costs more than these short queries
}
CONNECT_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, PoolTimeoutError)
"""What a server that is away, starting up or full makes of a connection attempt."""


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """The engine; opens nothing yet.

    A connection whose server has gone is replaced when it is taken from the pool. asyncpg knows that
    without asking; `pool_pre_ping` would ask, with three round trips for each one of work.
    """
    engine = create_async_engine(
        settings.database_url,
        echo=settings.db_echo,
        # parameters are what people wrote; they must not get into the log with an error
        hide_parameters=not settings.db_echo,
        pool_recycle=POOL_RECYCLE,
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout=POOL_TIMEOUT,
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": COMMAND_TIMEOUT,
            "server_settings": SERVER_SETTINGS,
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_closed)
    return engine


def _replace_closed(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    if connection.driver_connection.is_closed():  # asyncpg's own connection
        raise DisconnectionError  # the pool's signal to open another one


@dataclass(slots=True)
class UnitOfWork:
    """One request's work: its connection, the clock it goes by, and the topics it has changed."""

    connection: AsyncConnection
    clock: Clock
    topics: set[Topic] = field(default_factory=set)

    def mark_changed(self, topic: Topic) -> None:
        """Announce `topic` after the commit."""
        self.topics.add(topic)


class Database:
    """The pool, for the service's lifetime; close it with `aclose()`."""

    def __init__(self, settings: DatabaseSettings, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.engine = create_engine(settings)
        # SQLAlchemy's pool is not fair: it gives a free connection to whoever asks next, before those who
        # wait, and under load some waited for a hundred others. A semaphore serves in the order of asking.
        self._turns = asyncio.Semaphore(settings.db_pool_size + settings.db_max_overflow)
        self.watch = QueryWatch(settings.slow_query_ms)
        self.watch.install(self.engine.sync_engine)
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def aclose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def read_unit(self) -> AsyncIterator[UnitOfWork]:
        """A unit for statements that change nothing.

        Raises:
            UnavailableError: no connection is free in time, or PostgreSQL accepts none.
        """
        async with self._connect(self._autocommit) as connection:
            yield UnitOfWork(connection, self.clock)

    @asynccontextmanager
    async def write_unit(self) -> AsyncIterator[UnitOfWork]:
        """A unit in one transaction: committed when the block ends, rolled back when it raises.

        Raises:
            UnavailableError: no connection is free in time, or PostgreSQL accepts none.
        """
        async with self._connect(self.engine) as connection, connection.begin():
            yield UnitOfWork(connection, self.clock)

    async def check(self) -> None:
        """Raise UnavailableError when the database does not answer."""
        async with self.read_unit() as unit:
            await unit.connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(POOL_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise self._unavailable(exc) from exc
        try:
            try:
                connection = await engine.connect()
            except CONNECT_ERRORS as exc:
                raise self._unavailable(exc) from exc
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            self._turns.release()

    def _unavailable(self, exc: Exception) -> UnavailableError:
        self.watch.count(exc)
        log.warning("database_unavailable", error=f"{type(exc).__name__}: {exc}")
        return UnavailableError()


async def wait_for_database(database: Database, seconds: float) -> None:
    """Return when the database answers.

    Raises:
        UnavailableError: it does not answer within `seconds`.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await database.check()
        except UnavailableError:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(min(1.0, max(0.05, seconds / 20)))
