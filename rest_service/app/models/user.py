"""The people."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, UniqueConstraint, text
from sqlmodel import Field

from service_kit.contracts.users import UserRole

from .base import TIMESTAMP, BaseModel, by_default, one_of

ONE_OWNER = "uq_telegram_users_one_owner"


class TelegramUser(BaseModel, table=True):
    """A person, known by the account at Telegram and the bot they talk to. Each bot has at most one owner.

    The bot is 0 until a first bot is set as the current one; that one takes these users over.
    """

    __tablename__ = "telegram_users"
    __table_args__ = (
        UniqueConstraint("telegram_id", "bot_id"),
        Index(ONE_OWNER, "bot_id", unique=True, postgresql_where=text("role = 'owner'")),
        one_of("role", UserRole),
    )

    id: int | None = Field(default=None, primary_key=True)
    telegram_id: int = Field(sa_type=BigInteger)
    bot_id: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("current_bot()")})
    username: str | None = Field(default=None, sa_type=String(64))
    first_name: str | None = Field(default=None, sa_type=String(256))
    language: str | None = Field(default=None, sa_type=String(35))
    timezone: str | None = Field(default=None, sa_type=String(64))
    role: str = Field(
        default=UserRole.MEMBER,
        sa_type=String(16),
        sa_column_kwargs=by_default(UserRole.MEMBER.value),
    )
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    last_seen_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
