"""Tools of the assistants (`/api/tools`)."""

import json
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from service_kit.contracts.base import NOT_BLANK, Body, Choice, Flag, Patch, Resource


class ToolType(Choice):
    """Which implementation a tool row becomes: the types that come along. There may be more."""

    CALENDAR = "calendar"
    REMINDER = "reminder"
    TIME = "time"
    WEATHER = "weather"
    SUB_ASSISTANT = "sub_assistant"


_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def _dump_schema(value: Any) -> Any:  # noqa: ANN401 - whatever came in, pydantic judges what goes out
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


LONGEST_SCHEMA = 65_536

SchemaText = Annotated[
    str,
    StringConstraints(max_length=LONGEST_SCHEMA),
    BeforeValidator(_dump_schema),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST_SCHEMA, "format": "json-schema"},
                {"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"]},
            ]
        }
    ),
]
"""A JSON Schema as text; an object is accepted and written as text."""

TOOL_TYPES_KEY = "tool_types"
"""A SET in Redis: the types that assistant services have added when they started, by name."""
TOOL_TYPE_PATTERN = r"^[a-z][a-z0-9_]{0,31}$"
ToolTypeName = Annotated[
    str, StringConstraints(pattern=TOOL_TYPE_PATTERN), Field(json_schema_extra={"format": "tool-type"})
]
"""The name of a built-in type, or of one that an assistant service has added; rest_service checks which."""
TOOL_NAME_PATTERN = r"^[a-zA-Z0-9_-]{1,64}$"
ToolName = Annotated[str, StringConstraints(pattern=TOOL_NAME_PATTERN)]
ToolDescription = Annotated[str, StringConstraints(min_length=1, max_length=4096), NOT_BLANK]

_TOOL: dict[str, Any] = {
    "name": "world_clock",
    "tool_type": "time",
    "description": "Tells the time anywhere. Use it when the user asks what time it is somewhere.",
    "input_schema": {"type": "object", "properties": {"timezone": {"type": "string"}}},
}
_TOOL_NAME = "What the model calls it by: letters, digits, `_`, `-`. Unique."
_TOOL_TYPE = (
    "Which implementation it is: `time`, `weather`, `calendar`, `reminder`, `sub_assistant`, "
    "or a type that an assistant service has added."
)
_TOOL_DESCRIPTION = "Tells the model what it does and when to use it."
_INPUT_SCHEMA = (
    "JSON Schema of the arguments, as an object or as text; top level `object`. None: the type's own."
)
_TOOL_ASSISTANT = "The assistant a `sub_assistant` tool asks; the other types have none."
_TOOL_ACTIVE = "False: no assistant has it until it is true again."


class ToolUpdate(Patch):
    """Fields of a tool that `PATCH` may change; those not sent stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": _TOOL["description"]}]})
    clearable = frozenset({"input_schema", "assistant_id"})

    name: ToolName | None = Field(default=None, description=_TOOL_NAME, examples=[_TOOL["name"]])
    tool_type: ToolTypeName | None = Field(
        default=None, description=_TOOL_TYPE, examples=[_TOOL["tool_type"]]
    )
    description: ToolDescription | None = Field(
        default=None, description=_TOOL_DESCRIPTION, examples=[_TOOL["description"]]
    )
    input_schema: SchemaText | None = Field(
        default=None, description=_INPUT_SCHEMA, examples=[_TOOL["input_schema"]]
    )
    assistant_id: UUID | None = Field(default=None, description=_TOOL_ASSISTANT, examples=[None])
    is_active: Flag | None = Field(default=None, description=_TOOL_ACTIVE, examples=[True])


def _document_assistant_id(schema: dict[str, Any]) -> None:
    """For the OpenAPI document: a `sub_assistant` tool has its assistant, the others have none."""
    asking = {"tool_type": {"const": ToolType.SUB_ASSISTANT.value}, "assistant_id": {"type": "string"}}
    another = {"not": {"const": ToolType.SUB_ASSISTANT.value}}
    schema["anyOf"] = [
        {"properties": {"tool_type": another, "assistant_id": {"type": "null"}}},
        {"properties": asking, "required": ["assistant_id"]},
    ]
    schema["examples"] = [_TOOL]


class ToolCreate(Body):
    """A new tool; also the whole of it for `PUT`."""

    model_config = ConfigDict(json_schema_extra=_document_assistant_id)

    name: ToolName = Field(description=_TOOL_NAME, examples=[_TOOL["name"]])
    tool_type: ToolTypeName = Field(description=_TOOL_TYPE, examples=[_TOOL["tool_type"]])
    description: ToolDescription = Field(description=_TOOL_DESCRIPTION, examples=[_TOOL["description"]])
    input_schema: SchemaText | None = Field(
        default=None, description=_INPUT_SCHEMA, examples=[_TOOL["input_schema"]]
    )
    assistant_id: UUID | None = Field(default=None, description=_TOOL_ASSISTANT, examples=[None])
    is_active: Flag = Field(default=True, description=_TOOL_ACTIVE, examples=[True])


class ToolRead(Resource):
    """A tool."""

    id: UUID = Field(description="Its id; links name it by this.", examples=[_ID])
    name: str = Field(description=_TOOL_NAME, examples=[_TOOL["name"]])
    # not the enum: a reader older than the row skips a type it does not know instead of failing
    tool_type: str = Field(description=_TOOL_TYPE, examples=[_TOOL["tool_type"]])
    description: str = Field(description=_TOOL_DESCRIPTION, examples=[_TOOL["description"]])
    input_schema: str | None = Field(
        default=None, description="JSON Schema of the arguments, as text.", examples=['{"type": "object"}']
    )
    assistant_id: UUID | None = Field(default=None, description=_TOOL_ASSISTANT, examples=[None])
    is_active: bool = Field(description=_TOOL_ACTIVE, examples=[True])
