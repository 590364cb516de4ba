"""The configuration as one document (`/api/export`, `/api/import`): everything is referred to by name."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from service_kit.contracts.assistants import WARNING, WARNINGS, AssistantCreate
from service_kit.contracts.base import Body, Choice, Flag, Name
from service_kit.contracts.tools import LONGEST_SCHEMA, SchemaText, ToolDescription, ToolName, ToolTypeName


class ToolEntry(Body):
    """A tool."""

    name: ToolName = Field(description="What the model calls it by.", examples=["ask_planner"])
    tool_type: ToolTypeName = Field(
        description="Which implementation it is; the types are those of `/api/tools`.",
        examples=["sub_assistant"],
    )
    description: ToolDescription = Field(
        description="Tells the model what it does and when to use it.", examples=["Asks the planner."]
    )
    input_schema: SchemaText | None = Field(
        default=None,
        description="JSON Schema of the arguments, as an object or as text. None: the type's own.",
        examples=[None],
    )
    assistant: Name | None = Field(
        default=None, description="Name of the assistant a `sub_assistant` tool asks.", examples=["Planner"]
    )
    is_active: Flag = Field(default=True, description="False: no assistant has it.", examples=[True])

    @field_serializer("input_schema")
    def _serialize_schema(self, value: str | None) -> Any:  # noqa: ANN401 - JSON
        """An object, for people; the text where an object would not mean the same."""
        return None if value is None else readable(value)


class LinkEntry(Body):
    """An assistant may use a tool."""

    assistant: Name = Field(description="Name of the assistant.", examples=["Secretary"])
    tool: ToolName = Field(description="Name of the tool.", examples=["ask_planner"])
    sub_assistant: Name | None = Field(
        default=None,
        description="Name of the assistant that is asked instead of the tool's own.",
        examples=[None],
    )
    is_active: Flag = Field(default=True, description="False: it may not use it for now.", examples=[True])


_EXAMPLE: dict[str, Any] = {
    "assistants": [
        {"name": "Concierge", "model": "default", "instructions": "You look after guests."},
        {"name": "Travel planner", "model": "default", "instructions": "You plan journeys."},
    ],
    "tools": [
        {
            "name": "ask_travel_planner",
            "tool_type": "sub_assistant",
            "description": "Asks the travel planner for a plan.",
            "assistant": "Travel planner",
        }
    ],
    "links": [{"assistant": "Concierge", "tool": "ask_travel_planner"}],
}


class Configuration(Body):
    """Assistants, tools and links. Names refer to entries of the document or to rows that exist."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    assistants: list[AssistantCreate] = Field(
        default_factory=list,
        max_length=10_000,
        description="In any order; names are unique.",
        examples=[_EXAMPLE["assistants"]],
    )
    tools: list[ToolEntry] = Field(
        default_factory=list,
        max_length=10_000,
        description="In any order; names are unique.",
        examples=[_EXAMPLE["tools"]],
    )
    links: list[LinkEntry] = Field(
        default_factory=list,
        max_length=100_000,
        description="One an assistant and tool.",
        examples=[_EXAMPLE["links"]],
    )


class EntryKind(Choice):
    """What an entry of the document is."""

    ASSISTANT = "assistant"
    TOOL = "tool"
    LINK = "link"


class ImportAction(Choice):
    """What an import does with an entry."""

    CREATED = "created"
    CHANGED = "changed"


class FieldChange(BaseModel):
    """One field before and after."""

    field: str = Field(description="Its name.", examples=["instructions"])
    before: Any = Field(description="As it was.", examples=["You are brief."])
    after: Any = Field(description="As it is with the document.", examples=["You are brief and warm."])


class ImportChange(BaseModel):
    """What an import does with one entry."""

    kind: EntryKind = Field(description="What it is.", examples=["assistant"])
    name: str = Field(description="Its name; of a link `assistant → tool`.", examples=["Secretary"])
    action: ImportAction = Field(description="`created` or `changed`.", examples=["changed"])
    fields: list[FieldChange] = Field(default_factory=list, description="What changes, of a `changed` one.")


class ImportResult(BaseModel):
    """What an import has done, or would do."""

    dry_run: bool = Field(description="True: nothing was written.", examples=[True])
    created: int = Field(description="New rows.", examples=[0])
    changed: int = Field(description="Changed rows.", examples=[1])
    unchanged: int = Field(description="Entries that are stored just so already.", examples=[6])
    changes: list[ImportChange] = Field(description="Each new and each changed row.")
    warnings: list[str] = Field(default_factory=list, description=WARNINGS, examples=[[WARNING]])


def readable(schema: str) -> Any:  # noqa: ANN401 - JSON
    """The object in `schema`, or the text itself where the object would not be read back the same."""
    try:
        value = json.loads(schema)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError):  # half a surrogate pair, a number beyond floats
        return schema
    # a NUL is refused in fields, and only its escaped form can be stored
    fits = isinstance(value, dict) and len(written) <= LONGEST_SCHEMA and "\\u0000" not in written
    return value if fits else schema
