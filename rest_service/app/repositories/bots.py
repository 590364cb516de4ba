"""Which bot plays: people, and the jobs of people, are seen through it.

The table says it, so all processes and whoever writes SQL by hand mean the same bot; the function
`current_bot()` of the database is the one place that asks.
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

# as a subquery it is asked once a statement, not once a row
_CURRENT = select(func.current_bot()).scalar_subquery()
_people = users.alias()
PLAYS: Condition = users.c.bot_id == _CURRENT
"""The user belongs to the bot that plays."""
NO_BOT = 0
_NEW: ColumnElement[bool] = literal_column("xmax = 0")


def of_people_here(user_id: ColumnElement[int]) -> Condition:
    """The condition that this user belongs to the bot that plays."""
    # by the key of each row: a join would read all users for a page of jobs
    return select(_people.c.bot_id).where(_people.c.id == user_id).scalar_subquery() == _CURRENT


class BotRepository(Repository[BotRead]):
    """`telegram_bots`."""

    table = bots
    read = BotRead
    noun = "bot"
    order = (bots.c.id,)

    async def play(self, bot: BotPut) -> BotRead:
        """This bot plays from now on. A new one takes over the people who have had no bot so far."""
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
