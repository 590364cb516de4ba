"""Provider-side conversations, one per user and assistant (`/api/user-threads`)."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field

from service_kit.contracts.base import NOT_BLANK, Body, Moment, Patch, Resource, RowId

_USER_ID = "Whose conversation it is: the `id` of a user."
_ASSISTANT_ID = "With whom: the `id` of an assistant."
_THREAD_ID = "The provider's name for the conversation."
_LAST_USED = "When it was last continued."
_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_TIME = "2026-11-22T09:00:00Z"

ThreadId = Annotated[str, Field(min_length=1, max_length=256), NOT_BLANK]


class UserThreadCreate(Body):
    """A new thread; `PUT` on an existing pair replaces its thread_id."""

    user_id: RowId = Field(description=_USER_ID, examples=[1])
    assistant_id: UUID = Field(description=_ASSISTANT_ID, examples=[_ID])
    thread_id: ThreadId = Field(description=_THREAD_ID, examples=["conv_abc"])


class UserThreadUpdate(Patch):
    """Fields of a thread that `PATCH` may change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"thread_id": "conv_def"}]})
    clearable = frozenset({"last_used"})

    thread_id: ThreadId | None = Field(default=None, description=_THREAD_ID, examples=["conv_def"])
    last_used: Moment | None = Field(default=None, description=_LAST_USED, examples=[_TIME])


class UserThreadRead(Resource):
    """A thread."""

    id: UUID = Field(description="The row, not the provider's name.", examples=[_ID])
    user_id: int = Field(description=_USER_ID, examples=[1])
    assistant_id: UUID = Field(description=_ASSISTANT_ID, examples=[_ID])
    thread_id: str = Field(description=_THREAD_ID, examples=["conv_abc"])
    last_used: AwareDatetime | None = Field(default=None, description=_LAST_USED, examples=[_TIME])
