"""The bots that this suite has run as."""

from sqlalchemy import BigInteger, Index, String, text
from sqlmodel import Field

from .base import BaseModel


class TelegramBot(BaseModel, table=True):
    """A bot, known by its account at Telegram. At most one is current; the users of the others wait."""

    __tablename__ = "telegram_bots"
    __table_args__ = (
        Index("uq_telegram_bots_one_current", "is_current", unique=True, postgresql_where=text("is_current")),
    )

    id: int | None = Field(
        default=None, sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    username: str = Field(default="", sa_type=String(64), sa_column_kwargs={"server_default": ""})
    is_current: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
