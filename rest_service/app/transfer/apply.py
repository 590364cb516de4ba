"""Imports a document: makes the rows that are missing and changes those that differ.

Nothing is deleted, because a document may hold only a part of the configuration. A second import of the same
document changes nothing. The import is part of the caller's transaction; a dry run is rolled back.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import Connection, func, insert, select, update

from service_kit.contracts.assistants import AssistantCreate
from service_kit.contracts.tools import ToolType
from service_kit.contracts.transfer import (
    Configuration,
    EntryKind,
    FieldChange,
    ImportAction,
    ImportChange,
    ImportResult,
    LinkEntry,
    ToolEntry,
)

from ..errors.api import ConflictError
from ..locks import ASSISTANT_GRAPH
from ..models import assistants, links, tools
from ..repositories import secretaries
from ..repositories.graph import EDGES, find_cycle
from .checks import check
from .stored import Stored, read

Values = dict[str, Any]
E = TypeVar("E", bound=BaseModel)


def import_document(
    connection: Connection,
    document: Configuration,
    tool_types: frozenset[str] | None = None,
    *,
    dry_run: bool = False,
    schema_problems: Mapping[int, str] | None = None,
) -> ImportResult:
    """Make the rows what `document` says.

    `tool_types` are those that are known; None where that cannot be known yet, as at a first start.
    `schema_problems` are as in `check`.

    Raises:
        InvalidDocumentError: it is wrong; nothing was written.
        ConflictError: sub-assistants would ask each other in a circle, or no secretary would be left.
    """
    # a savepoint: a dry run is rolled back, while its transaction goes on
    with connection.begin_nested() as step:
        connection.execute(select(func.pg_advisory_xact_lock(ASSISTANT_GRAPH)))
        default_before = secretaries.lock(connection)
        stored = read(connection)
        check(document, stored, tool_types, schema_problems)
        result = _Import(connection, stored, default_before).run(document, dry_run=dry_run)
        if dry_run:
            step.rollback()
    return result


class _Import:
    def __init__(self, connection: Connection, stored: Stored, default_before: UUID | None) -> None:
        self._connection = connection
        self._stored = stored
        self._default_before = default_before
        names = {row_id: name for name, row_id in stored.assistant_ids.items()}
        self._default_name = names[default_before] if default_before else None
        self._changes: list[ImportChange] = []
        self._unchanged = 0

    def run(self, document: Configuration, *, dry_run: bool) -> ImportResult:
        named = next((assistant.name for assistant in document.assistants if assistant.is_default), None)
        if named is not None and named != self._default_name:
            secretaries.clear_default(self._connection)
        for assistant in document.assistants:
            self._assistant(assistant)
        for tool in document.tools:
            self._tool(tool)
        for link in document.links:
            self._link(link)
        self._ensure_default()
        self._refuse_contradictions()
        created = sum(change.action == ImportAction.CREATED for change in self._changes)
        return ImportResult(
            dry_run=dry_run,
            created=created,
            changed=len(self._changes) - created,
            unchanged=self._unchanged,
            changes=self._changes,
        )

    def _assistant(self, entry: AssistantCreate) -> None:
        ids = self._stored.assistant_ids
        known = self._stored.assistants.get(entry.name)
        values = entry.model_dump(mode="json", exclude={"settings", "is_default"})
        values["settings"] = entry.settings.model_dump(mode="json", exclude_unset=True)
        is_default = entry.name == self._default_name
        if is_default and not (entry.is_secretary and entry.is_active):
            values["is_default"] = False
        elif entry.is_default and not is_default:
            values["is_default"] = True
        differences = _differences(known, entry, ignore={"is_default"})
        if known is None:
            ids[entry.name] = self._insert(assistants, values)
        elif differences or "is_default" in values:
            self._update(assistants, ids[entry.name], values)
        self._note(EntryKind.ASSISTANT, entry.name, known, differences)

    def _tool(self, entry: ToolEntry) -> None:
        ids = self._stored.tool_ids
        known = self._stored.tools.get(entry.name)
        values = entry.model_dump(mode="json", exclude={"assistant", "input_schema"})
        values["input_schema"] = entry.input_schema
        values["assistant_id"] = self._id(entry.assistant)
        differences = _differences(known, entry)
        if known is None:
            ids[entry.name] = self._insert(tools, values)
        elif differences:
            self._update(tools, ids[entry.name], values)
        self._note(EntryKind.TOOL, entry.name, known, differences)

    def _link(self, entry: LinkEntry) -> None:
        known = self._stored.links.get((entry.assistant, entry.tool))
        assistant_id, tool_id = self._id(entry.assistant), self._stored.tool_ids[entry.tool]
        values: Values = {"sub_assistant_id": self._id(entry.sub_assistant), "is_active": entry.is_active}
        differences = _differences(known, entry)
        if known is None:
            self._insert(links, values | {"assistant_id": assistant_id, "tool_id": tool_id})
        elif differences:
            this = (links.c.assistant_id == assistant_id) & (links.c.tool_id == tool_id)
            self._connection.execute(update(links).where(this).values(values))
        self._note(EntryKind.LINK, f"{entry.assistant} → {entry.tool}", known, differences)

    def _id(self, name: str | None) -> UUID | None:
        return None if name is None else self._stored.assistant_ids[name]

    def _insert(self, table: Any, values: Values) -> UUID:  # noqa: ANN401 - a Table
        row_id = uuid4()
        # one after the other: lists begin with the oldest
        self._connection.execute(insert(table).values(id=row_id, created_at=func.clock_timestamp(), **values))
        return row_id

    def _update(self, table: Any, row_id: UUID, values: Values) -> None:  # noqa: ANN401 - a Table
        self._connection.execute(update(table).where(table.c.id == row_id).values(values))

    def _note(
        self, kind: EntryKind, name: str, known: BaseModel | None, differences: list[FieldChange]
    ) -> None:
        if known is not None and not differences:
            self._unchanged += 1
            return
        action = ImportAction.CREATED if known is None else ImportAction.CHANGED
        self._changes.append(ImportChange(kind=kind, name=name, action=action, fields=differences))

    def _ensure_default(self) -> None:
        """Leave exactly one default, and list a move of it as a change of both assistants."""
        secretaries.ensure_default(self._connection, self._default_before)
        now = self._connection.scalar(select(assistants.c.id).where(assistants.c.is_default))
        if now == self._default_before:
            return
        names = {row_id: name for name, row_id in self._stored.assistant_ids.items()}
        for row_id, is_default in ((self._default_before, False), (now, True)):
            if row_id is not None and names[row_id] in self._stored.assistants:
                move = FieldChange(field="is_default", before=not is_default, after=is_default)
                self._add_to(names[row_id], move)

    def _add_to(self, name: str, move: FieldChange) -> None:
        for change in self._changes:
            if (change.kind, change.name) == (EntryKind.ASSISTANT, name):
                change.fields.append(move)
                return
        self._note(EntryKind.ASSISTANT, name, self._stored.assistants[name], [move])

    def _refuse_contradictions(self) -> None:
        edges: dict[UUID, list[UUID]] = defaultdict(list)
        for caller_id, callee_id in self._connection.execute(EDGES):
            edges[caller_id].append(callee_id)
        cycle = find_cycle(edges)
        if cycle:
            names = {row_id: name for name, row_id in self._stored.assistant_ids.items()}
            path = " → ".join(repr(names[row_id]) for row_id in cycle)
            msg = f"Assistants would ask each other in a circle: {path}."
            raise ConflictError(msg)
        overriding = (
            select(tools.c.name)
            .join_from(links, tools, tools.c.id == links.c.tool_id)
            .where(links.c.sub_assistant_id.is_not(None), tools.c.tool_type != ToolType.SUB_ASSISTANT.value)
            .limit(1)
        )
        tool = self._connection.scalar(overriding)
        if tool is not None:
            msg = (
                f"Links to tool {tool!r} say whom it asks instead, so it must stay of type sub_assistant. "
                "Put these links into the document without sub_assistant."
            )
            raise ConflictError(msg)


def _differences(known: E | None, entry: E, *, ignore: Iterable[str] = ()) -> list[FieldChange]:
    if known is None:
        return []
    before, after = (one.model_dump(mode="json", warnings=False) for one in (known, entry))
    return [
        FieldChange(field=name, before=before[name], after=after[name])
        for name in after
        if name not in ignore and not _same(name, before[name], after[name])
    ]


def _same(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON
    if name == "input_schema":  # for Python, true is 1 and 1 is 1.0; for a JSON Schema they are not
        return json.dumps(one) == json.dumps(other)
    return bool(one == other)
