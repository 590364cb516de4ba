"""Queries on assistants."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.changes import Topic
from service_kit.contracts.assistants import AssistantCreate, AssistantRead, AssistantUpdate

from ..errors.api import ConflictError
from ..models import assistants, links, tools
from . import secretaries
from .base import Repository, Values

DEFAULT_FIRST = (assistants.c.is_default.desc(),)
"""The order in which secretaries are tried."""
_DECIDES_DEFAULT = frozenset({"is_default", "is_secretary", "is_active"})


class AssistantRepository(Repository[AssistantRead]):
    """`assistants`."""

    table = assistants
    read = AssistantRead
    noun = "assistant"
    order = (assistants.c.created_at, assistants.c.id)
    topic = Topic.CONFIGURATION

    async def create(self, body: AssistantCreate) -> AssistantRead:
        """A new assistant; the first active secretary becomes the default."""
        values = _column_values(body)
        if not body.is_secretary:
            return await self.insert(values)
        before = await self.unit.connection.run_sync(secretaries.lock)
        if body.is_default:
            await self.unit.connection.run_sync(secretaries.clear_default)
        made = await self.insert(values)
        await self.unit.connection.run_sync(secretaries.ensure_default, before)
        return await self.get(made.id)

    async def replace(self, assistant_id: UUID, body: AssistantCreate) -> AssistantRead:
        """All columns anew; raises NotFoundError, and ConflictError as `patch`."""
        return await self._change(assistant_id, _column_values(body))

    async def patch(self, assistant_id: UUID, body: AssistantUpdate) -> AssistantRead:
        """The columns in `body`; within `settings` too, what is not sent stays.

        Raises:
            NotFoundError: there is no such assistant.
            ConflictError: it is the only active secretary.
        """
        values = self.changes(body)
        if body.settings is not None:
            # merged by the database, so that two who change different settings lose nothing
            sent = body.settings.model_dump(mode="json", exclude_unset=True)
            values["settings"] = assistants.c.settings.op("||", return_type=JSONB())(sent)
        return await self._change(assistant_id, values)

    async def _change(self, assistant_id: UUID, values: Values) -> AssistantRead:
        if values.keys().isdisjoint(_DECIDES_DEFAULT):
            return await self.update(assistant_id, values)
        before = await self.unit.connection.run_sync(secretaries.lock)
        if values.get("is_default") and before != assistant_id:
            await self.unit.connection.run_sync(secretaries.clear_default)
        elif before == assistant_id:
            _resign_default(values)
        await self.update(assistant_id, values)
        await self.unit.connection.run_sync(secretaries.ensure_default, before)
        return await self.get(assistant_id)

    async def remove(self, assistant_id: UUID) -> None:
        """Delete it with its own links and threads.

        Raises:
            NotFoundError: there is none.
            ConflictError: others still lead to it (the message names them), or it is the only secretary.
        """
        before = await self.unit.connection.run_sync(secretaries.lock)
        # the lock keeps others from starting to lead here between the look and the deletion
        locked = select(assistants.c.name).where(assistants.c.id == assistant_id).with_for_update()
        name = await self.unit.connection.scalar(locked)
        if name is None:
            raise self.not_found(assistant_id)
        references = await self._find_references(assistant_id)
        if references:
            msg = (
                f"Assistant {name!r} is still asked by {', '.join(references)}. "
                "Delete these or let them ask another assistant first."
            )
            raise ConflictError(msg)
        await self.delete(assistant_id)
        await self.unit.connection.run_sync(secretaries.ensure_default, before)

    async def _find_references(self, assistant_id: UUID) -> list[str]:
        leading = select(tools.c.name).where(tools.c.assistant_id == assistant_id).order_by(tools.c.name)
        overriding = (
            select(tools.c.name, assistants.c.name)
            .join_from(links, tools, tools.c.id == links.c.tool_id)
            .join(assistants, assistants.c.id == links.c.assistant_id)
            .where(links.c.sub_assistant_id == assistant_id)
            .order_by(assistants.c.name, tools.c.name)
        )
        by_tools = [f"tool {name!r}" for name in (await self.unit.connection.scalars(leading)).all()]
        by_links = [
            f"assistant {assistant!r} (its link to tool {tool!r})"
            for tool, assistant in await self.unit.connection.execute(overriding)
        ]
        return by_tools + by_links


def _column_values(body: AssistantCreate) -> Values:
    settings: dict[str, Any] = body.settings.model_dump(mode="json", exclude_unset=True)
    values = body.model_dump(exclude={"settings"}) | {"settings": settings}
    if values["is_default"] is None:  # not sent: left to `secretaries.ensure_default`
        del values["is_default"]
    return values


def _resign_default(values: Values) -> None:
    """Take the default away in `values` where the default secretary can no longer answer."""
    if values.get("is_default") is False:
        msg = "This is the default secretary. Make another one the default instead (is_default: true)."
        raise ConflictError(msg, field="is_default")
    if not values.get("is_default") and False in {values.get("is_secretary"), values.get("is_active")}:
        values["is_default"] = False
