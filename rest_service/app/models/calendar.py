"""What a user has let us do with the Google Calendar."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from service_kit.contracts.calendar import CalendarStatus

from .base import TIMESTAMP, BaseModel, by_default, one_of


class CalendarCredentials(BaseModel, table=True):
    """One grant a user. Both tokens are encrypted (see `crypto`) and bound to the user."""

    __tablename__ = "calendar_credentials"
    __table_args__ = (one_of("status", CalendarStatus),)

    user_id: int = Field(foreign_key="telegram_users.id", ondelete="CASCADE", primary_key=True)
    access_token: str = Field(sa_type=Text)
    refresh_token: str | None = Field(default=None, sa_type=Text)
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    scopes: list[str] = Field(sa_type=ARRAY(String(256)), nullable=False)
    status: str = Field(
        default=CalendarStatus.LINKED,
        sa_type=String(16),
        sa_column_kwargs=by_default(CalendarStatus.LINKED.value),
    )
