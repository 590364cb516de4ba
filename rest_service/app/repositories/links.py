"""Queries on the links between assistants and tools."""

from uuid import UUID

from sqlalchemy import select

from service_kit.changes import Topic
from service_kit.contracts.assistants import AssistantToolCreate, AssistantToolRead, AssistantToolUpdate
from service_kit.contracts.tools import ToolType

from ..errors.api import InvalidError
from ..models import links, tools
from .base import Repository
from .graph import lock_graph, refuse_cycle


class LinkRepository(Repository[AssistantToolRead]):
    """`assistant_tool_links`."""

    table = links
    read = AssistantToolRead
    noun = "link"
    order = (links.c.created_at, links.c.id)
    topic = Topic.CONFIGURATION

    async def create(self, body: AssistantToolCreate) -> AssistantToolRead:
        """A new link; raises ConflictError where it would close a cycle."""
        await lock_graph(self.unit)
        return await self._check(await self.insert(body.model_dump()))

    async def replace(self, link_id: UUID, body: AssistantToolCreate) -> AssistantToolRead:
        """All columns anew; raises NotFoundError, and as `create`."""
        await lock_graph(self.unit)
        return await self._check(await self.update(link_id, body.model_dump()))

    async def patch(self, link_id: UUID, body: AssistantToolUpdate) -> AssistantToolRead:
        """The columns in `body`; raises NotFoundError, and as `create`."""
        values = self.changes(body)
        await lock_graph(self.unit)
        return await self._check(await self.update(link_id, values))

    async def _check(self, link: AssistantToolRead) -> AssistantToolRead:
        tool_type = await self.unit.connection.scalar(
            select(tools.c.tool_type).where(tools.c.id == link.tool_id)
        )
        if tool_type == ToolType.SUB_ASSISTANT:
            await refuse_cycle(self.unit, link.assistant_id)
        elif link.sub_assistant_id is not None:
            msg = (
                f"Only links to sub_assistant tools have a sub_assistant_id; this one is of type {tool_type}."
            )
            raise InvalidError(msg, field="sub_assistant_id")
        return link
