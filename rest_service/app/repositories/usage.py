"""Queries on usage: the tokens and the time that answers have cost."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Date, String, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import insert

from service_kit.contracts.usage import UsageCreate, UsageGroup, UsageRead, UsageTotal

from ..models import assistants, usage_records, users
from .base import Condition, Repository, Window

_records = usage_records
_GROUPS: Mapping[UsageGroup, ColumnElement[str | None]] = {
    UsageGroup.USER: cast(_records.c.user_id, String),
    UsageGroup.ASSISTANT: _records.c.assistant,
    UsageGroup.MODEL: _records.c.model,
    UsageGroup.DAY: cast(cast(func.timezone("UTC", _records.c.at), Date), String),
}
_SUMMED = ("input_tokens", "cached_tokens", "output_tokens", "model_calls", "duration_ms")
K = TypeVar("K")

_COLUMNS = tuple(UsageCreate.model_fields)
_INPUT = (
    func.unnest(*(bindparam(name, type_=ARRAY(_records.c[name].type)) for name in _COLUMNS))
    .table_valued(*(column(name, _records.c[name].type) for name in _COLUMNS), name="input")
    .render_derived()
)
# an array a column for all of them: a row of values each costs a millisecond of processor time a record.
# In one order, so that two who send the same records wait for each other, not in a circle.
_STORE = (
    insert(_records)
    .from_select([*_COLUMNS], select(*(_INPUT.c[name] for name in _COLUMNS)).order_by(_INPUT.c.id))
    .on_conflict_do_nothing(index_elements=["id"])
)


class UsageRepository(Repository[UsageRead]):
    """`usage_records`. No service caches them, so new ones are not announced."""

    table = _records
    read = UsageRead
    noun = "record"
    order = (_records.c.at.desc(), _records.c.id.desc())

    async def store(self, records: Sequence[UsageCreate]) -> int:
        """Store the records with new ids, without ids of deleted users and assistants; return how many."""
        if not records:
            return 0
        # a foreign key to a deleted user would refuse the whole batch
        user_ids = await self._lock_existing(users.c.id, {record.user_id for record in records})
        assistant_ids = await self._lock_existing(
            assistants.c.id, {record.assistant_id for record in records if record.assistant_id is not None}
        )
        rows = [
            record.model_dump()
            | ({} if record.user_id in user_ids else {"user_id": None})
            | ({} if record.assistant_id in assistant_ids else {"assistant_id": None})
            for record in records
        ]
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        return (await self.unit.connection.execute(_STORE, columns)).rowcount

    async def totals(
        self, group: UsageGroup, window: Window, conditions: Sequence[Condition]
    ) -> tuple[list[UsageTotal], int]:
        """One page of sums, days by date, all others by tokens, the largest first; and how many there are."""
        key = _GROUPS[group].label("key")
        sums = [func.sum(_records.c[name]).label(name) for name in _SUMMED]
        messages = func.count(_records.c.message_id.distinct()).label("messages")
        grouped = select(key, messages, *sums).where(*conditions).group_by(key)
        # a record's two numbers may be too large for one of the same type
        tokens = func.sum(_records.c.input_tokens) + func.sum(_records.c.output_tokens)
        ordered = grouped.order_by(*([] if group is UsageGroup.DAY else [tokens.desc()]), key.desc())
        result = await self.unit.connection.execute(ordered.limit(window.limit).offset(window.offset))
        rows = [UsageTotal.model_validate(dict(row)) for row in result.mappings()]
        if window.offset == 0 and len(rows) < window.limit:
            return rows, len(rows)
        counting = select(func.count()).select_from(grouped.subquery())
        return rows, await self.unit.connection.scalar(counting) or 0

    def between(self, since: datetime | None, until: datetime | None) -> list[Condition]:
        """The conditions that a message was answered at `since` or later, and before `until`."""
        at = _records.c.at
        return ([] if since is None else [at >= since]) + ([] if until is None else [at < until])

    async def _lock_existing(self, column: ColumnElement[K], wanted: Collection[K]) -> set[K]:
        """Which of these rows are there; none of them can be deleted until the transaction ends."""
        statement: Any = select(column).where(column.in_(wanted)).order_by(column)
        return set(await self.unit.connection.scalars(statement.with_for_update(read=True, key_share=True)))
