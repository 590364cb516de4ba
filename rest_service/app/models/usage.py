"""What answering has cost."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, String
from sqlmodel import Field

from service_kit.contracts.usage import UsageKind

from .base import TIMESTAMP, BaseModel, one_of


class UsageRecord(BaseModel, table=True):
    """What one assistant used of one model for one message. It outlives its user and assistant."""

    __tablename__ = "usage_records"
    __table_args__ = (
        one_of("kind", UsageKind),
        Index(None, "at", "id"),
        Index(None, "user_id", "at", "id"),
        Index(None, "assistant_id", "at", "id"),
        Index(None, "model", "at", "id"),
    )

    id: str = Field(sa_type=String(400), primary_key=True)
    message_id: str = Field(sa_type=String(400))
    user_id: int | None = Field(default=None, foreign_key="telegram_users.id", ondelete="SET NULL")
    assistant_id: UUID | None = Field(default=None, foreign_key="assistants.id", ondelete="SET NULL")
    assistant: str = Field(sa_type=String(128))
    model: str = Field(sa_type=String(128))
    kind: str = Field(sa_type=String(16))
    input_tokens: int = Field(sa_type=Integer)
    cached_tokens: int = Field(sa_type=Integer)
    output_tokens: int = Field(sa_type=Integer)
    model_calls: int = Field(sa_type=Integer)
    duration_ms: int = Field(sa_type=Integer)
    at: datetime = Field(sa_type=TIMESTAMP)
