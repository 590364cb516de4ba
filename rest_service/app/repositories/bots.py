"""The current bot: only its users, and only their jobs, are visible.

The table says which it is, so all processes and all SQL written by hand mean the same bot. The database
function `current_bot()` is the one place that reads it.
"""

from sqlalchemy import ColumnElement, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from service_kit.changes import Topic
from service_kit.contracts.bots import BotPut, BotRead
from service_kit.logging import get_logger

from .. import locks
from ..models import bots, users
from .base import Condition, Repository

log = get_logger(__name__)

# as a subquery it is called once a statement, not once a row
_CURRENT = select(func.current_bot()).scalar_subquery()
_people = users.alias()
OF_CURRENT_BOT: Condition = users.c.bot_id == _CURRENT
"""The condition that a row of `users` belongs to the current bot."""
NO_BOT = 0
_NEW: ColumnElement[bool] = literal_column("xmax = 0")


def has_current_bot(user_id: ColumnElement[int]) -> Condition:
    """The condition that the user with this id belongs to the current bot."""
    # looked up by the key of each row: a join would read all users for a page of jobs
    return select(_people.c.bot_id).where(_people.c.id == user_id).scalar_subquery() == _CURRENT


class BotRepository(Repository[BotRead]):
    """`telegram_bots`."""

    table = bots
    read = BotRead
    noun = "bot"
    order = (bots.c.id,)

    async def set_current(self, bot: BotPut) -> BotRead:
        """Make this bot the current one. A new bot takes over the users who have had no bot so far."""
        run = self.unit.connection.execute
        await run(select(func.pg_advisory_xact_lock(locks.BOTS)))
        before = await self.unit.connection.scalar(select(bots.c.id).where(bots.c.is_current))
        await run(update(bots).where(bots.c.is_current, bots.c.id != bot.id).values(is_current=False))
        values = bot.model_dump() | {"is_current": True}
        stored = insert(bots).values(values).on_conflict_do_update(index_elements=["id"], set_=values)
        row = (await run(stored.returning(*bots.columns, _NEW.label("is_new")))).mappings().one()
        if row["is_new"]:
            await run(update(users).where(users.c.bot_id == NO_BOT).values(bot_id=bot.id))
        if before != bot.id:
            log.info("bot_changed", bot_id=bot.id, before=before)
            self.unit.mark_changed(Topic.USERS)
            self.unit.mark_changed(Topic.JOBS)
        return self._parse(row)
