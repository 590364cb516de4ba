"""The rows of a first start, from JSON: assistants, tools and links, which refer to each other by name."""

import json
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Connection, func, insert, select

from service_kit.contracts.assistants import AssistantCreate, ToolCreate, ToolType

from .locks import SCHEMA
from .models import assistants, links, tools
from .tool_schema import problem

DEFAULT = Path(__file__).parent / "seed" / "default.json"


class SeedTool(BaseModel):
    """A tool; `assistant` is the name of the one a `sub_assistant` tool asks."""

    model_config = ConfigDict(extra="forbid")

    name: str
    tool_type: ToolType
    description: str
    input_schema: dict[str, Any] | None = None
    assistant: str | None = None
    is_active: bool = True


class SeedLink(BaseModel):
    """An assistant may use a tool; both by name."""

    model_config = ConfigDict(extra="forbid")

    assistant: str
    tool: str


class SeedFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    assistants: list[AssistantCreate] = Field(min_length=1)
    tools: list[SeedTool] = Field(default_factory=list)
    links: list[SeedLink] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = {assistant.name for assistant in self.assistants}
        known_tools = {tool.name for tool in self.tools}
        asked = {tool.assistant for tool in self.tools if tool.assistant}
        unknown = (asked | {link.assistant for link in self.links}) - known
        unknown |= {link.tool for link in self.links} - known_tools
        if unknown:
            msg = f"these names are used but not defined in the file: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return self


def load_file(path: Path) -> SeedFile:
    """The file, checked whole.

    Raises:
        SystemExit: it cannot be read or is wrong; the text says where.
    """
    try:
        return SeedFile.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise SystemExit(f"The default rows in {path} cannot be read: {exc.strerror}.") from exc
    except ValidationError as exc:
        raise SystemExit(f"The default rows in {path} are wrong:\n{exc}") from exc


def seed(connection: Connection, path: Path | None = None) -> bool:
    """Make the default rows, where there is no assistant yet; whether there was none.

    Part of the caller's transaction; two at once make them once.
    """
    connection.execute(select(func.pg_advisory_xact_lock(SCHEMA)))
    if connection.scalar(select(func.count()).select_from(assistants)):
        return False
    file = load_file(path or DEFAULT)
    ids = {assistant.name: uuid4() for assistant in file.assistants}
    for assistant in file.assistants:
        values = assistant.model_dump(mode="json")
        if values["is_default"] is None:
            del values["is_default"]
        values["settings"] = assistant.settings.model_dump(mode="json", exclude_unset=True)
        # one after the other: the oldest secretary is the one that answers
        connection.execute(
            insert(assistants).values(id=ids[assistant.name], created_at=func.clock_timestamp(), **values)
        )
    tool_ids = {tool.name: _insert_tool(connection, tool, ids) for tool in file.tools}
    for link in file.links:
        connection.execute(
            insert(links).values(
                assistant_id=ids[link.assistant],
                tool_id=tool_ids[link.tool],
                created_at=func.clock_timestamp(),
            )
        )
    return True


def _insert_tool(connection: Connection, tool: SeedTool, ids: dict[str, UUID]) -> UUID:
    body = ToolCreate(
        name=tool.name,
        tool_type=tool.tool_type,
        description=tool.description,
        input_schema=None if tool.input_schema is None else json.dumps(tool.input_schema, ensure_ascii=False),
        assistant_id=ids[tool.assistant] if tool.assistant else None,
        is_active=tool.is_active,
    )
    wrong = problem(body.input_schema) if body.input_schema else None
    if wrong:
        raise SystemExit(f"The default tool {tool.name!r} is wrong: {wrong}")
    tool_id = uuid4()
    connection.execute(insert(tools).values(id=tool_id, **body.model_dump(mode="python")))
    return tool_id
