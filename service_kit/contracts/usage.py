"""What answering cost: tokens and time by user, assistant, model and message (`/api/usage`)."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service_kit.contracts.base import (
    NOT_BLANK,
    Body,
    Choice,
    Count,
    ModelName,
    Moment,
    Name,
    Resource,
    RowId,
)

MAX_RECORDS = 500
"""Records in one request."""


class UsageKind(Choice):
    """What the model was asked for."""

    ANSWER = "answer"
    SUMMARY = "summary"
    """Older turns of a conversation were folded into a summary."""


Key = Annotated[str, StringConstraints(min_length=1, max_length=400), NOT_BLANK]

_ID = "Names the record, so that one that is sent twice is stored once."
_MESSAGE_ID = "The message that was answered."
_USER_ID = "Whose message it was: the `id` of a user."
_ASSISTANT_ID = "Which assistant asked the model; none once it is deleted."
_ASSISTANT = "What that assistant was called."
_MODEL = "`provider/name` of the model that answered."
_KIND = "`answer` to the message, or `summary` of older turns."
_INPUT = "Tokens of the requests, cached ones included."
_CACHED = "Tokens of the requests that came from the provider's cache."
_OUTPUT = "Tokens of the answers."
_CALLS = "How often the model was asked."
_DURATION = "Milliseconds of waiting for the model."
_AT = "When the message was answered (UTC)."
_ASSISTANT_UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_TIME = "2026-11-22T09:00:00Z"


class UsageCreate(Body):
    """What one assistant used of one model for one message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "tg:1001:3fa85f64:openai/gpt-6-luna",
                    "message_id": "tg:1001",
                    "user_id": 1,
                    "assistant": "Secretary",
                    "model": "openai/gpt-6-luna",
                    "input_tokens": 1200,
                    "cached_tokens": 1000,
                    "output_tokens": 80,
                    "model_calls": 2,
                    "duration_ms": 1800,
                    "at": _TIME,
                }
            ]
        }
    )

    id: Key = Field(description=_ID, examples=["tg:1001:3fa85f64:openai/gpt-6-luna"])
    message_id: Key = Field(description=_MESSAGE_ID, examples=["tg:1001"])
    user_id: RowId = Field(description=_USER_ID, examples=[1])
    assistant_id: UUID | None = Field(default=None, description=_ASSISTANT_ID, examples=[_ASSISTANT_UUID])
    assistant: Name = Field(description=_ASSISTANT, examples=["Secretary"])
    model: ModelName = Field(description=_MODEL, examples=["openai/gpt-6-luna"])
    kind: UsageKind = Field(default=UsageKind.ANSWER, description=_KIND, examples=["answer"])
    input_tokens: Count = Field(default=0, description=_INPUT, examples=[1200])
    cached_tokens: Count = Field(default=0, description=_CACHED, examples=[1000])
    output_tokens: Count = Field(default=0, description=_OUTPUT, examples=[80])
    model_calls: Count = Field(default=0, description=_CALLS, examples=[2])
    duration_ms: Count = Field(default=0, description=_DURATION, examples=[1800])
    at: Moment = Field(description=_AT, examples=[_TIME])


class UsageRead(Resource):
    """A record of use; it stays when its user or assistant is deleted, without their ids."""

    id: str = Field(description=_ID, examples=["tg:1001:3fa85f64:openai/gpt-6-luna"])
    message_id: str = Field(description=_MESSAGE_ID, examples=["tg:1001"])
    user_id: int | None = Field(default=None, description=_USER_ID, examples=[1])
    assistant_id: UUID | None = Field(default=None, description=_ASSISTANT_ID, examples=[_ASSISTANT_UUID])
    assistant: str = Field(description=_ASSISTANT, examples=["Secretary"])
    model: str = Field(description=_MODEL, examples=["openai/gpt-6-luna"])
    kind: str = Field(description=_KIND, examples=["answer"])
    input_tokens: int = Field(description=_INPUT, examples=[1200])
    cached_tokens: int = Field(description=_CACHED, examples=[1000])
    output_tokens: int = Field(description=_OUTPUT, examples=[80])
    model_calls: int = Field(description=_CALLS, examples=[2])
    duration_ms: int = Field(description=_DURATION, examples=[1800])
    at: AwareDatetime = Field(description=_AT, examples=[_TIME])


class UsageStored(BaseModel):
    """How many records were new."""

    stored: int = Field(description="Records that were not known before.", examples=[2])


class UsageGroup(Choice):
    """What totals are summed over."""

    USER = "user"
    ASSISTANT = "assistant"
    MODEL = "model"
    DAY = "day"
    """In UTC."""


class UsageTotal(BaseModel):
    """What all messages of one user, assistant, model or day have cost."""

    key: str | None = Field(
        description="The user's `id`, the assistant's name, the model, or the day; none: users who are gone.",
        examples=["openai/gpt-6-luna"],
    )
    messages: int = Field(description="Messages that were answered.", examples=[12])
    input_tokens: int = Field(description=_INPUT, examples=[14_400])
    cached_tokens: int = Field(description=_CACHED, examples=[12_000])
    output_tokens: int = Field(description=_OUTPUT, examples=[960])
    model_calls: int = Field(description=_CALLS, examples=[24])
    duration_ms: int = Field(description=_DURATION, examples=[21_600])
