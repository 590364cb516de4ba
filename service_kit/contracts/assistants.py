"""Assistants and their links to tools (`/api/assistants`, `/api/assistant-tools`)."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service_kit.contracts.base import (
    AS_WHOLE,
    NOT_BLANK,
    Body,
    Choice,
    Flag,
    ModelName,
    Name,
    Patch,
    Resource,
)
from service_kit.contracts.tools import ToolRead

Instructions = Annotated[str, StringConstraints(min_length=1, max_length=100_000), NOT_BLANK]


class AssistantType(Choice):
    """Which implementation answers."""

    LLM = "llm"
    OPENAI_API = "openai_api"


class ModelSettings(BaseModel):
    """Settings of the model and of the tool loop; what is not set takes the service's default."""

    # strict: "0.3" or true is refused instead of guessed at
    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 is sober, 1 lively.", examples=[0.3]
    )
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), AS_WHOLE] | None = Field(
        default=None, description="Longest answer.", examples=[2000]
    )
    fallback_models: list[ModelName] = Field(
        default_factory=list,
        max_length=8,
        description="Tried in order when the model's provider fails.",
        examples=[[]],
    )
    max_tool_rounds: Annotated[int, Field(ge=1, le=50), AS_WHOLE] | None = Field(
        default=None,
        description="How often the model may call tools for one message.",
        examples=[8],
    )
    history_tokens: Annotated[int, Field(ge=256, le=1_000_000), AS_WHOLE] | None = Field(
        default=None,
        description="Budget for the conversation sent along.",
        examples=[20_000],
    )


_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_OTHER_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_TEXTS = {"name": "Travel planner", "instructions": "You plan journeys. Ask for dates and the budget first."}

_ASSISTANT_NAME = "What it is called. Unique."
_IS_SECRETARY = "Whether users talk to it directly."
_IS_DEFAULT = "`true` makes this secretary the one that answers; another one steps back."
_MODEL = "`provider/name`; a bare name means the default provider, `default` the default model."
_INSTRUCTIONS = "What it is told before every conversation: who it is, how it works, what it must not do."
_ASSISTANT_TYPE = "`llm`: any provider, the conversation kept here; `openai_api`: kept at OpenAI."
_OPENAI_ID = "The assistant's id at OpenAI (`openai_api` only); none: it is made there when first needed."
_SETTINGS = "Settings of the model and limits; what is not set takes the service's default."
_ASSISTANT_ACTIVE = "False: it answers nobody until it is true again."


class AssistantUpdate(Patch):
    """Fields of an assistant that `PATCH` may change; those not sent stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "default", "settings": {"temperature": 0.7}}]}
    )
    clearable = frozenset({"openai_assistant_id"})

    name: Name | None = Field(default=None, description=_ASSISTANT_NAME, examples=[_TEXTS["name"]])
    is_secretary: Flag | None = Field(default=None, description=_IS_SECRETARY, examples=[False])
    is_default: Flag | None = Field(default=None, description=_IS_DEFAULT, examples=[False])
    model: ModelName | None = Field(default=None, description=_MODEL, examples=["default"])
    instructions: Instructions | None = Field(
        default=None, description=_INSTRUCTIONS, examples=[_TEXTS["instructions"]]
    )
    assistant_type: AssistantType | None = Field(default=None, description=_ASSISTANT_TYPE, examples=["llm"])
    openai_assistant_id: str | None = Field(
        default=None, max_length=128, description=_OPENAI_ID, examples=[None]
    )
    settings: ModelSettings | None = Field(
        default=None, description=_SETTINGS, examples=[{"temperature": 0.7}]
    )
    is_active: Flag | None = Field(default=None, description=_ASSISTANT_ACTIVE, examples=[True])


class AssistantCreate(Body):
    """A new assistant; also the whole of it for `PUT`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": _TEXTS["name"],
                    "is_secretary": False,
                    "model": "default",
                    "instructions": _TEXTS["instructions"],
                    "settings": {"temperature": 0.3},
                }
            ]
        }
    )

    name: Name = Field(description=_ASSISTANT_NAME, examples=[_TEXTS["name"]])
    is_secretary: Flag = Field(default=False, description=_IS_SECRETARY, examples=[False])
    is_default: Flag | None = Field(
        default=None,
        description=f"{_IS_DEFAULT} Not sent: the first active secretary becomes the default by itself.",
        examples=[None],
    )
    model: ModelName = Field(description=_MODEL, examples=["default"])
    instructions: Instructions = Field(description=_INSTRUCTIONS, examples=[_TEXTS["instructions"]])
    assistant_type: AssistantType = Field(
        default=AssistantType.LLM, description=_ASSISTANT_TYPE, examples=["llm"]
    )
    openai_assistant_id: str | None = Field(
        default=None, max_length=128, description=_OPENAI_ID, examples=[None]
    )
    settings: ModelSettings = Field(
        default_factory=ModelSettings, description=_SETTINGS, examples=[{"temperature": 0.3}]
    )
    is_active: Flag = Field(default=True, description=_ASSISTANT_ACTIVE, examples=[True])


class AssistantRead(Resource):
    """An assistant."""

    id: UUID = Field(description="Its id; links and tools name it by this.", examples=[_ID])
    name: str = Field(description=_ASSISTANT_NAME, examples=[_TEXTS["name"]])
    is_secretary: bool = Field(description=_IS_SECRETARY, examples=[False])
    is_default: bool = Field(
        default=False, description="The one secretary that answers people.", examples=[False]
    )
    model: str = Field(description=_MODEL, examples=["default"])
    instructions: str = Field(description=_INSTRUCTIONS, examples=[_TEXTS["instructions"]])
    # not the enum: a reader older than the row skips a type it does not know instead of failing
    assistant_type: str = Field(description=_ASSISTANT_TYPE, examples=["llm"])
    openai_assistant_id: str | None = Field(default=None, description=_OPENAI_ID, examples=[None])
    settings: ModelSettings = Field(
        default_factory=ModelSettings, description=_SETTINGS, examples=[{"temperature": 0.3}]
    )
    is_active: bool = Field(description=_ASSISTANT_ACTIVE, examples=[True])


WARNINGS = "What is stored all the same, but cannot work as it stands, such as a model that nobody has."
WARNING = "Assistant 'Planner': model 'groq/llama': provider 'groq' is not set up: set GROQ_API_KEY."


class AssistantSaved(AssistantRead):
    """An assistant as it is stored now."""

    warnings: list[str] = Field(
        default_factory=list,
        description=f"{WARNINGS} Left out where there is nothing to say.",
        examples=[[WARNING]],
        exclude_if=lambda warnings: not warnings,
    )


_LINK_ASSISTANT = "The `id` of the assistant that may use the tool (from `GET /api/assistants`)."
_LINK_TOOL = "The `id` of the tool (from `GET /api/tools`)."
_LINK_SUB_ASSISTANT = "Asked instead of the tool's own assistant (`sub_assistant` tools only)."
_LINK_ACTIVE = "False: this assistant does not have the tool until it is true again."


class AssistantToolCreate(Body):
    """A new link: this assistant may use this tool."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"assistant_id": _ID, "tool_id": _OTHER_ID}]})

    assistant_id: UUID = Field(description=_LINK_ASSISTANT, examples=[_ID])
    tool_id: UUID = Field(description=_LINK_TOOL, examples=[_OTHER_ID])
    sub_assistant_id: UUID | None = Field(default=None, description=_LINK_SUB_ASSISTANT, examples=[None])
    is_active: Flag = Field(default=True, description=_LINK_ACTIVE, examples=[True])


class AssistantToolUpdate(Patch):
    """Fields of a link that `PATCH` may change; those not sent stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_active": False}]})
    clearable = frozenset({"sub_assistant_id"})

    sub_assistant_id: UUID | None = Field(default=None, description=_LINK_SUB_ASSISTANT, examples=[None])
    is_active: Flag | None = Field(default=None, description=_LINK_ACTIVE, examples=[False])


class AssistantToolRead(Resource):
    """A link between an assistant and a tool."""

    id: UUID = Field(description="The link's own id.", examples=["16fd2706-8baf-433b-82eb-8c7fada847da"])
    assistant_id: UUID = Field(description=_LINK_ASSISTANT, examples=[_ID])
    tool_id: UUID = Field(description=_LINK_TOOL, examples=[_OTHER_ID])
    sub_assistant_id: UUID | None = Field(default=None, description=_LINK_SUB_ASSISTANT, examples=[None])
    is_active: bool = Field(description=_LINK_ACTIVE, examples=[True])


class AssistantTree(BaseModel):
    """An assistant with everything reachable from it, flat: shared branches stand once.

    Inactive rows are left out. `links` tell which assistant uses which tool; a `sub_assistant` tool
    leads to `link.sub_assistant_id or tool.assistant_id`.
    """

    root_id: UUID = Field(description="The assistant that was asked for.", examples=[_ID])
    assistants: list[AssistantRead] = Field(description="It, and all it can reach.")
    tools: list[ToolRead] = Field(description="All tools of these assistants.")
    links: list[AssistantToolRead] = Field(description="Which of them uses which.")
