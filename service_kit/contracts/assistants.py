"""Assistants, tools and the links between them (`/api/assistants`, `/api/tools`, `/api/assistant-tools`)."""

import json
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from service_kit.contracts.base import Body, ModelName, Name, Resource

Instructions = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class AssistantType(StrEnum):
    """Which implementation answers."""

    LLM = "llm"
    OPENAI_API = "openai_api"


class ToolType(StrEnum):
    """Which implementation a tool row becomes."""

    CALENDAR = "calendar"
    REMINDER = "reminder"
    TIME = "time"
    WEATHER = "weather"
    SUB_ASSISTANT = "sub_assistant"


class ModelSettings(BaseModel):
    """Settings of the model and of the tool loop; what is not set takes the service's default."""

    model_config = ConfigDict(extra="forbid")

    temperature: float | None = Field(default=None, ge=0, le=2, examples=[0.3])
    max_output_tokens: int | None = Field(default=None, ge=1, le=1_000_000, examples=[2000])
    fallback_models: list[ModelName] = Field(
        default_factory=list, max_length=8, description="Tried in order when the model's provider fails."
    )
    max_tool_rounds: int | None = Field(default=None, ge=1, le=50, examples=[8])
    history_tokens: int | None = Field(
        default=None, ge=256, le=1_000_000, description="Budget for the conversation sent along."
    )


class AssistantUpdate(Body):
    """Fields of an assistant that `PATCH` may change; those not sent stay as they are."""

    name: Name | None = Field(default=None, examples=["Secretary"])
    is_secretary: bool | None = None
    is_default: bool | None = Field(
        default=None, description="`true` makes this secretary the one that answers; another one steps back."
    )
    model: ModelName | None = Field(default=None, examples=["openai/gpt-6-luna"])
    instructions: Instructions | None = Field(default=None, examples=["You are a helpful secretary."])
    assistant_type: AssistantType | None = None
    openai_assistant_id: str | None = Field(default=None, max_length=128)
    settings: ModelSettings | None = None
    is_active: bool | None = None


class AssistantCreate(Body):
    """A new assistant; also the whole of it for `PUT`."""

    name: Name = Field(description="Unique.", examples=["Secretary"])
    is_secretary: bool = Field(default=False, description="Whether users talk to it directly.")
    is_default: bool | None = Field(
        default=None,
        description="`true` makes this secretary the one that answers; another one steps back. Not sent: "
        "the first active secretary becomes the default by itself.",
        examples=[None],
    )
    model: ModelName = Field(
        description="`provider/name`; a bare name means the default provider, `default` the default model.",
        examples=["default"],
    )
    instructions: Instructions = Field(examples=["You are a helpful secretary."])
    assistant_type: AssistantType = Field(default=AssistantType.LLM)
    openai_assistant_id: str | None = Field(default=None, max_length=128, examples=[None])
    settings: ModelSettings = Field(default_factory=ModelSettings)
    is_active: bool = True


class AssistantRead(Resource):
    """An assistant."""

    id: UUID
    name: str
    is_secretary: bool
    is_default: bool = Field(default=False, description="The one secretary that answers people.")
    model: str
    instructions: str
    assistant_type: str
    """Not the enum: a reader older than the row skips a type it does not know instead of failing."""
    openai_assistant_id: str | None = None
    settings: ModelSettings = Field(default_factory=ModelSettings)
    is_active: bool


def _schema_as_text(value: Any) -> Any:  # noqa: ANN401 - whatever came in, pydantic judges what goes out
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


SchemaText = Annotated[str, StringConstraints(max_length=65_536), BeforeValidator(_schema_as_text)]
"""A JSON Schema as text; an object is accepted and written as text."""

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class ToolUpdate(Body):
    """Fields of a tool that `PATCH` may change; those not sent stay as they are."""

    name: ToolName | None = Field(default=None, examples=["current_time"])
    tool_type: ToolType | None = None
    description: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    input_schema: SchemaText | None = None
    assistant_id: UUID | None = None
    is_active: bool | None = None


class ToolCreate(Body):
    """A new tool; also the whole of it for `PUT`."""

    name: ToolName = Field(description="What the model calls it by. Unique.", examples=["current_time"])
    tool_type: ToolType = Field(examples=["time"])
    description: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="Tells the model when to use it.", examples=["Current time in a time zone."]
    )
    input_schema: SchemaText | None = Field(
        default=None,
        description="JSON Schema of the arguments, top level `object`; none means the type's own.",
        examples=['{"type": "object", "properties": {"timezone": {"type": "string"}}}'],
    )
    assistant_id: UUID | None = Field(
        default=None, description="The assistant a `sub_assistant` tool asks.", examples=[None]
    )
    is_active: bool = True


class ToolRead(Resource):
    """A tool."""

    id: UUID
    name: str
    tool_type: str
    """Not the enum: a reader older than the row skips a type it does not know instead of failing."""
    description: str
    input_schema: str | None = None
    assistant_id: UUID | None = None
    is_active: bool


class AssistantToolCreate(Body):
    """A new link: this assistant may use this tool."""

    assistant_id: UUID
    tool_id: UUID
    sub_assistant_id: UUID | None = Field(
        default=None,
        description="Asked instead of the tool's own assistant (`sub_assistant` tools only).",
        examples=[None],
    )
    is_active: bool = True


class AssistantToolUpdate(Body):
    """Fields of a link that `PATCH` may change; those not sent stay as they are."""

    sub_assistant_id: UUID | None = None
    is_active: bool | None = None


class AssistantToolRead(Resource):
    """A link between an assistant and a tool."""

    id: UUID
    assistant_id: UUID
    tool_id: UUID
    sub_assistant_id: UUID | None = None
    is_active: bool


class AssistantTree(BaseModel):
    """An assistant with everything reachable from it, flat: shared branches stand once.

    Inactive rows are left out. `links` tell which assistant uses which tool; a `sub_assistant` tool
    leads to `link.sub_assistant_id or tool.assistant_id`.
    """

    root_id: UUID
    assistants: list[AssistantRead]
    tools: list[ToolRead]
    links: list[AssistantToolRead]
