"""Create, read, change and delete of one table, as Core statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, Table, delete, func, insert, not_, select, update

from service_kit.changes import Topic
from service_kit.contracts.base import Resource

from ..database import UnitOfWork
from ..errors.api import NotFoundError

R = TypeVar("R", bound=Resource)
Values = dict[str, Any]
Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list."""

    limit: int
    offset: int


class Repository(Generic[R]):
    """What all tables have in common; a table's own class adds its queries and rules."""

    table: ClassVar[Table]
    read: type[R]
    noun: ClassVar[str]
    order: ClassVar[Sequence[ColumnElement[Any]]]
    """Ends with a unique column, so that pages never overlap."""
    topic: ClassVar[Topic | None] = None
    """The topic that is announced when a row changes."""

    def __init__(self, unit: UnitOfWork) -> None:
        self.unit = unit

    def _select(self) -> Select[Any]:
        return select(self.table)

    @property
    def _key(self) -> ColumnElement[Any]:
        return next(iter(self.table.primary_key.columns))

    async def get(self, key: UUID | int) -> R:
        """The row.

        Raises:
            NotFoundError: there is none.
        """
        return self._parse_found(await self._fetch(self._select().where(self._key == key)), key)

    async def page(
        self,
        window: Window,
        conditions: Sequence[Condition] = (),
        *,
        first: Sequence[ColumnElement[Any]] = (),
    ) -> tuple[list[R], int]:
        """The rows of one page, ordered by `first` and `order`, and how many there are on all pages."""
        rows = await self.rows(window, conditions, first=first)
        # a first page that is not full is the whole list
        if window.offset == 0 and len(rows) < window.limit:
            return rows, len(rows)
        # what is joined for an answer is there once for each row
        counting = select(func.count()).select_from(self.table).where(*conditions)
        return rows, await self.unit.connection.scalar(counting) or 0

    async def rows(
        self,
        window: Window,
        conditions: Sequence[Condition] = (),
        *,
        first: Sequence[ColumnElement[Any]] = (),
    ) -> list[R]:
        """The rows of one page, ordered by `first` and `order`; they are not counted."""
        statement = self._select().where(*conditions).order_by(*first, *self.order)
        result = await self.unit.connection.execute(statement.limit(window.limit).offset(window.offset))
        return [self._parse(row) for row in result.mappings()]

    async def insert(self, values: Values) -> R:
        """A new row. What the database refuses is answered by `errors.constraints`."""
        row = await self._fetch(insert(self.table).values(values).returning(*self.table.columns))
        self._mark_changed(values)
        return self._parse(row or {})

    async def update(self, key: UUID | int, values: Values) -> R:
        """Set the columns in `values`, and only those: concurrent changes of others stay.

        Raises:
            NotFoundError: there is no such row.
        """
        if not values:
            return await self.get(key)
        statement = update(self.table).where(self._key == key).values(values).returning(*self.table.columns)
        row = await self._fetch(statement)
        changed = self._parse_found(row, key)
        self._mark_changed(values)
        return changed

    async def delete(self, key: UUID | int) -> None:
        """Remove the row.

        Raises:
            NotFoundError: there is no such row.
        """
        result = await self.unit.connection.execute(delete(self.table).where(self._key == key))
        if result.rowcount == 0:
            raise self.not_found(key)
        self._mark_changed({})

    def not_found(self, key: object) -> NotFoundError:
        """The refusal for a row that is not there."""
        return NotFoundError(f"There is no {self.noun} {key}. It may have been deleted; look at the list.")

    def changes(self, body: BaseModel) -> Values:
        """The columns a `PATCH` body sets; the contract refuses null where a column cannot be empty."""
        return body.model_dump(exclude_unset=True)

    def equal(self, **wanted: object) -> list[Condition]:
        """A condition for each filter that is not None."""
        return [self.table.c[name] == value for name, value in wanted.items() if value is not None]

    def name_contains(self, part: str | None) -> list[Condition]:
        """The condition that the name has `part` in it, in any case."""
        return [] if part is None else [self.table.c.name.icontains(part, autoescape=True)]

    @staticmethod
    def match(condition: Condition, wanted: bool | None) -> list[Condition]:
        """The condition or its negation; none where the filter is None."""
        return [] if wanted is None else [condition if wanted else not_(condition)]

    def _mark_changed(self, _values: Values) -> None:
        if self.topic is not None:
            self.unit.mark_changed(self.topic)

    def _parse(self, row: Mapping[Any, Any]) -> R:
        return self.read.model_validate(dict(row))

    def _parse_found(self, row: Mapping[Any, Any] | None, key: object) -> R:
        if row is None:
            raise self.not_found(key)
        return self._parse(row)

    async def _fetch(
        self,
        statement: Any,  # noqa: ANN401 - any Core statement
        values: Values | None = None,
    ) -> Mapping[Any, Any] | None:
        return (await self.unit.connection.execute(statement, values)).mappings().one_or_none()
