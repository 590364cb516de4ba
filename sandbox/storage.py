"""What survives a restart: people, their messages, updates that no bot has confirmed.

Writes are collected and committed a few times a second in a thread, so that a message costs no disk
access of its own. A crash may therefore lose the last `FLUSH_EVERY` seconds, which is fine for a
stand-in; a clean stop loses nothing.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FLUSH_EVERY = 0.25
MESSAGES_KEPT = 1000
"""Newest messages of each chat that are loaded again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS messages (
    person_id INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (person_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS updates (
    bot_id INTEGER NOT NULL, update_id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (bot_id, update_id)
) WITHOUT ROWID;
"""

JsonObject = dict[str, Any]


@dataclass(slots=True)
class Snapshot:
    """Everything that was stored."""

    people: dict[int, str] = field(default_factory=dict)
    messages: dict[int, list[JsonObject]] = field(default_factory=dict)
    updates: dict[int, list[JsonObject]] = field(default_factory=dict)


class Store(AbstractContextManager["Store"]):
    """A write-behind SQLite file; with no path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._pending: list[tuple[str, tuple[object, ...]]] = []
        self._connection: sqlite3.Connection | None = None
        self._flushing = threading.Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # the flush runs in a thread of its own
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)

    def load(self) -> Snapshot:
        """What earlier runs left."""
        snapshot = Snapshot()
        if self._connection is None:
            return snapshot
        snapshot.people = dict(self._connection.execute("SELECT id, name FROM people ORDER BY id"))
        for person in snapshot.people:
            rows = self._connection.execute(
                "SELECT body FROM messages WHERE person_id = ? ORDER BY number DESC LIMIT ?",
                (person, MESSAGES_KEPT),
            ).fetchall()
            # the newest ones are read backwards and shown forwards
            snapshot.messages[person] = [json.loads(body) for (body,) in reversed(rows)]
        for bot, body in self._connection.execute(
            "SELECT bot_id, body FROM updates ORDER BY bot_id, update_id"
        ):
            snapshot.updates.setdefault(bot, []).append(json.loads(body))
        return snapshot

    def save_person(self, number: int, name: str) -> None:
        """Remember a person."""
        self._write("INSERT OR REPLACE INTO people VALUES (?, ?)", number, name)

    def save_message(self, person: int, number: int, body: Mapping[str, object]) -> None:
        """Remember a message, or its edited form."""
        if self._connection is not None:
            self._write("INSERT OR REPLACE INTO messages VALUES (?, ?, ?)", person, number, json.dumps(body))

    def save_update(self, bot: int, update_id: int, body: Mapping[str, object]) -> None:
        """Remember an update until a bot has confirmed it."""
        if self._connection is not None:
            self._write("INSERT OR REPLACE INTO updates VALUES (?, ?, ?)", bot, update_id, json.dumps(body))

    def drop_updates(self, bot: int, below: int) -> None:
        """Forget what is confirmed."""
        self._write("DELETE FROM updates WHERE bot_id = ? AND update_id < ?", bot, below)

    def clear(self) -> None:
        """Forget everything."""
        for table in ("people", "messages", "updates"):
            self._write(f"DELETE FROM {table}")  # noqa: S608 - the names stand one line above

    async def run(self) -> None:
        """Commit what was written, again and again, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            if self._pending:
                await asyncio.shield(asyncio.to_thread(self.flush))

    def flush(self) -> None:
        """Commit what was written."""
        # a stop may come while a flush still runs in its thread
        with self._flushing:
            batch, self._pending = self._pending, []
            if self._connection is not None and batch:
                self._commit(self._connection, batch)

    @staticmethod
    def _commit(connection: sqlite3.Connection, batch: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        connection.execute("BEGIN")
        try:
            for statement, values in batch:
                connection.execute(statement, values)
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _write(self, statement: str, *values: object) -> None:
        if self._connection is not None:
            self._pending.append((statement, values))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.flush()
        if self._connection is not None:
            self._connection.close()
