"""Rows of rest_service as tests find and change them."""

from dataclasses import dataclass, field
from typing import Any, Self

from tests.harness.suite import Suite

Row = dict[str, Any]


def assistant_named(suite: Suite, name: str) -> Row:
    """The assistant of this name."""
    return _only(suite, "/api/assistants", name)


def tool_named(suite: Suite, name: str) -> Row:
    """The tool of this name."""
    return _only(suite, "/api/tools", name)


def _only(suite: Suite, path: str, name: str) -> Row:
    rows: list[Row] = suite.rest("GET", f"{path}?limit=500")
    [found] = [row for row in rows if row["name"] == name]
    return found


@dataclass
class Changes:
    """Changes of rows that are taken back at the end, the last one first; a context manager."""

    suite: Suite
    _before: list[tuple[str, Row]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for path, before in reversed(self._before):
            self.suite.rest("PATCH", path, before)

    def assistant(self, name: str, **fields: Any) -> None:
        """Change an assistant."""
        self._patch("/api/assistants", assistant_named(self.suite, name), fields)

    def tool(self, name: str, **fields: Any) -> None:
        """Change a tool."""
        self._patch("/api/tools", tool_named(self.suite, name), fields)

    def _patch(self, collection: str, row: Row, fields: Row) -> None:
        path = f"{collection}/{row['id']}"
        self._before.append((path, {field: row[field] for field in fields}))
        self.suite.rest("PATCH", path, fields)
