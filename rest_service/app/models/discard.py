"""Discards: what was deleted here and is still stored elsewhere."""

from sqlalchemy import BigInteger, String
from sqlmodel import Field

from service_kit.contracts.discards import DiscardKind

from .base import BaseModel, one_of


class Discard(BaseModel, table=True):
    """One thing to delete elsewhere. The triggers of migration 0003 make it, also for SQL written by hand."""

    __tablename__ = "discards"
    __table_args__ = (one_of("kind", DiscardKind),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    kind: str = Field(sa_type=String(16))
    reference: str = Field(sa_type=String(256))
