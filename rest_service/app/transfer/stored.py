"""The rows as a document, in a stable order: by name."""

from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection, select, text

from service_kit.contracts.assistants import AssistantCreate, ModelSettings
from service_kit.contracts.transfer import Configuration, LinkEntry, ToolEntry

from ..models import assistants, links, tools

LinkKey = tuple[str, str]
E = TypeVar("E", bound=BaseModel)


@dataclass(slots=True)
class Stored:
    """What there is, by name, with the ids of the rows."""

    assistants: dict[str, AssistantCreate] = field(default_factory=dict)
    tools: dict[str, ToolEntry] = field(default_factory=dict)
    links: dict[LinkKey, LinkEntry] = field(default_factory=dict)
    assistant_ids: dict[str, UUID] = field(default_factory=dict)
    tool_ids: dict[str, UUID] = field(default_factory=dict)

    def document(self) -> Configuration:
        """All of it."""
        return Configuration.model_construct(
            assistants=list(self.assistants.values()),
            tools=list(self.tools.values()),
            links=list(self.links.values()),
        )


def read(connection: Connection) -> Stored:
    """The rows as they are."""
    stored = Stored()
    names: dict[UUID, str] = {}
    for row in connection.execute(select(assistants).order_by(assistants.c.name)).mappings():
        names[row["id"]] = row["name"]
        stored.assistant_ids[row["name"]] = row["id"]
        settings = ModelSettings.model_construct(**row["settings"])
        stored.assistants[row["name"]] = _entry(AssistantCreate, dict(row) | {"settings": settings})
    tool_names: dict[UUID, str] = {}
    for row in connection.execute(select(tools).order_by(tools.c.name)).mappings():
        tool_names[row["id"]] = row["name"]
        stored.tool_ids[row["name"]] = row["id"]
        callee = {"assistant": names.get(row["assistant_id"])}
        stored.tools[row["name"]] = _entry(ToolEntry, dict(row) | callee)
    entries: dict[LinkKey, LinkEntry] = {}
    for row in connection.execute(select(links)).mappings():
        key = (names[row["assistant_id"]], tool_names[row["tool_id"]])
        entries[key] = LinkEntry.model_construct(
            assistant=key[0],
            tool=key[1],
            sub_assistant=names.get(row["sub_assistant_id"]),
            is_active=row["is_active"],
        )
    stored.links = dict(sorted(entries.items()))
    return stored


def read_snapshot(connection: Connection) -> Stored:
    """The rows as they were at one moment; the first thing in its transaction."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    return read(connection)


def _entry(model: type[E], row: dict[str, Any]) -> E:
    """Without validation: what an older version has stored is exported too."""
    return model.model_construct(**{name: row[name] for name in model.model_fields if name in row})
