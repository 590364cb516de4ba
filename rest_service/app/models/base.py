"""What all tables share.

The classes describe the tables; queries are Core statements on `table(Class)`, because the ORM's
session costs twice the time of the query itself. All rules that rows must keep are constraints of the
database; their names are the keys of `errors.constraints`, which says them in words.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, DateTime, MetaData, Table, func
from sqlmodel import Field, SQLModel

NAMES = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

TIMESTAMP = DateTime(timezone=True)


class BaseModel(SQLModel):
    """Every table has both times; `updated_at` is kept by the trigger `set_updated_at`."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMES)

    # the default is the database's; None keeps SQLModel from asking for a value
    created_at: datetime = Field(
        default=None, sa_type=TIMESTAMP, sa_column_kwargs={"server_default": func.now()}, nullable=False
    )
    updated_at: datetime = Field(
        default=None, sa_type=TIMESTAMP, sa_column_kwargs={"server_default": func.now()}, nullable=False
    )


def table(model: type[BaseModel]) -> Table:
    """The Core table behind a model."""
    return model.metadata.tables[str(model.__tablename__)]


def by_default(value: str) -> dict[str, Any]:
    """Column arguments that let the database fill in `value` when SQL is written by hand."""
    return {"server_default": value}


def not_empty(column: str) -> CheckConstraint:
    """`column` is not the empty string."""
    return CheckConstraint(f"{column} <> ''", name=f"{column}_given")


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """`column` is one of a closed set. Open sets (types of tools and assistants) are checked at the edge."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")
