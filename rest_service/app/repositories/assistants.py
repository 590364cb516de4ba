"""Queries on assistants."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.changes import Topic
from service_kit.contracts.assistants import AssistantCreate, AssistantRead, AssistantUpdate

from ..errors.api import ConflictError
from ..models import assistants, links, tools
from .base import Repository, Values


class AssistantRepository(Repository[AssistantRead]):
    """`assistants`."""

    table = assistants
    read = AssistantRead
    noun = "assistant"
    order = (assistants.c.created_at, assistants.c.id)
    topic = Topic.CONFIGURATION

    async def create(self, body: AssistantCreate) -> AssistantRead:
        """A new assistant."""
        return await self.insert(_whole(body))

    async def replace(self, assistant_id: UUID, body: AssistantCreate) -> AssistantRead:
        """All columns anew; raises NotFoundError."""
        return await self.update(assistant_id, _whole(body))

    async def patch(self, assistant_id: UUID, body: AssistantUpdate) -> AssistantRead:
        """The columns in `body`; within `settings` too, what is not sent stays. Raises NotFoundError."""
        values = self.changes(body)
        if body.settings is not None:
            # merged by the database, so that two who change different settings lose nothing
            sent = body.settings.model_dump(mode="json", exclude_unset=True)
            values["settings"] = assistants.c.settings.op("||", return_type=JSONB())(sent)
        return await self.update(assistant_id, values)

    async def remove(self, assistant_id: UUID) -> None:
        """Delete it with its own links and threads.

        Raises:
            NotFoundError: there is none.
            ConflictError: others still lead to it; the message names them.
        """
        # the lock keeps others from starting to lead here between the look and the deletion
        locked = select(assistants.c.name).where(assistants.c.id == assistant_id).with_for_update()
        name = await self.unit.connection.scalar(locked)
        if name is None:
            raise self.missing(assistant_id)
        used_by = await self._used_by(assistant_id)
        if used_by:
            msg = (
                f"Assistant {name!r} is still asked by {', '.join(used_by)}. "
                "Delete these or let them ask another assistant first."
            )
            raise ConflictError(msg)
        await self.delete(assistant_id)

    async def _used_by(self, assistant_id: UUID) -> list[str]:
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


def _whole(body: AssistantCreate) -> Values:
    settings: dict[str, Any] = body.settings.model_dump(mode="json", exclude_unset=True)
    return body.model_dump(exclude={"settings"}) | {"settings": settings}
