"""Queries on tools."""

import asyncio
from uuid import UUID

from sqlalchemy import exists, select

from service_kit.changes import Topic
from service_kit.contracts.tools import ToolCreate, ToolRead, ToolType, ToolUpdate

from ..errors.api import ConflictError, InvalidError
from ..models import links, tools
from ..tool_schema import find_problem
from .base import Repository, Values
from .graph import lock_graph, refuse_cycle


class ToolRepository(Repository[ToolRead]):
    """`tools`."""

    table = tools
    read = ToolRead
    noun = "tool"
    order = (tools.c.name,)
    topic = Topic.CONFIGURATION

    async def create(self, body: ToolCreate) -> ToolRead:
        """A new tool. No assistant has it yet, so it closes no circle."""
        values = body.model_dump()
        await _check_schema(values)
        return await self.insert(values)

    async def replace(self, tool_id: UUID, body: ToolCreate) -> ToolRead:
        """All columns anew; raises as `patch`."""
        return await self._change(tool_id, body.model_dump())

    async def patch(self, tool_id: UUID, body: ToolUpdate) -> ToolRead:
        """The columns in `body`.

        Raises:
            NotFoundError: there is no such tool.
            InvalidError: the schema is wrong.
            ConflictError: it would close a cycle, or links still override whom it asks.
        """
        return await self._change(tool_id, self.changes(body))

    async def _change(self, tool_id: UUID, values: Values) -> ToolRead:
        await _check_schema(values)
        # only such a change can close a circle, so only such a change takes the lock
        leads_elsewhere = not values.keys().isdisjoint({"assistant_id", "tool_type"})
        if leads_elsewhere:
            await lock_graph(self.unit)
        tool = await self.update(tool_id, values)
        if leads_elsewhere and tool.assistant_id is not None:
            await refuse_cycle(self.unit, tool.assistant_id)
        elif leads_elsewhere and tool.tool_type != ToolType.SUB_ASSISTANT:
            await self._refuse_overrides(tool)
        return tool

    async def _refuse_overrides(self, tool: ToolRead) -> None:
        overridden = exists().where(links.c.tool_id == tool.id, links.c.sub_assistant_id.is_not(None))
        if await self.unit.connection.scalar(select(overridden)):
            msg = (
                f"Links of tool {tool.name!r} have a sub_assistant_id, which only a sub_assistant tool can "
                "have. Change these links first."
            )
            raise ConflictError(msg)


async def _check_schema(values: Values) -> None:
    text = values.get("input_schema")
    # a long schema takes a second, in which nobody else would be answered
    wrong = await asyncio.to_thread(find_problem, text) if text is not None else None
    if wrong:
        raise InvalidError(wrong, field="input_schema")
