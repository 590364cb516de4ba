"""Provider-side conversations, one per user and assistant (`/api/user-threads`)."""

from uuid import UUID

from pydantic import AwareDatetime, Field

from service_kit.contracts.base import Body, Resource, RowId


class UserThreadCreate(Body):
    """A new thread; `PUT` on an existing pair replaces its thread_id."""

    user_id: RowId = Field(examples=[1])
    assistant_id: UUID
    thread_id: str = Field(min_length=1, max_length=256, examples=["conv_abc"])


class UserThreadUpdate(Body):
    """Fields of a thread that `PATCH` may change."""

    thread_id: str | None = Field(default=None, min_length=1, max_length=256)
    last_used: AwareDatetime | None = None


class UserThreadRead(Resource):
    """A thread."""

    id: UUID
    user_id: int
    assistant_id: UUID
    thread_id: str
    last_used: AwareDatetime | None = None
