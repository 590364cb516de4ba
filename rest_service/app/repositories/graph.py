"""Which assistant asks which: sub-assistants must never ask each other in a circle.

A change that adds an edge writes first and checks afterwards, in one transaction under one lock. So two
transactions that each add half of a circle cannot both commit.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select

from service_kit.contracts.tools import ToolType

from ..database import UnitOfWork
from ..errors.api import ConflictError
from ..locks import ASSISTANT_GRAPH
from ..models import assistants, links, tools

Node = TypeVar("Node", bound=Hashable)

EDGES = (
    select(
        links.c.assistant_id.label("caller_id"),
        func.coalesce(links.c.sub_assistant_id, tools.c.assistant_id).label("callee_id"),
    )
    .join_from(links, tools, tools.c.id == links.c.tool_id)
    .where(tools.c.tool_type == ToolType.SUB_ASSISTANT.value)
)
"""Inactive rows count too: switching one on needs no second look."""


async def lock_graph(unit: UnitOfWork) -> None:
    """Keep others from changing which assistant asks which, until the transaction ends."""
    await unit.connection.execute(select(func.pg_advisory_xact_lock(ASSISTANT_GRAPH)))


async def refuse_cycle(unit: UnitOfWork, start: UUID) -> None:
    """Raises ConflictError, naming the path, where an assistant reachable from `start` asks itself."""
    edges: dict[UUID, list[UUID]] = defaultdict(list)
    for caller_id, callee_id in await unit.connection.execute(_reachable_edges(start)):
        edges[caller_id].append(callee_id)
    cycle = find_cycle(edges)
    if cycle:
        names = await _names(unit, cycle)
        path = " → ".join(repr(names[assistant_id]) for assistant_id in cycle)
        msg = f"Assistants would ask each other in a circle: {path}. Let one of them ask somebody else."
        raise ConflictError(msg)


def _reachable_edges(start: UUID) -> Select[Any]:
    edges = EDGES.subquery("edges")
    reached = select(edges).where(edges.c.caller_id == start).cte("reached", recursive=True)
    further = EDGES.subquery("further")
    # UNION, not UNION ALL: it drops repeated rows, and so ends in a circle
    return select(reached.union(select(further).join(reached, further.c.caller_id == reached.c.callee_id)))


async def _names(unit: UnitOfWork, ids: Iterable[UUID]) -> dict[UUID, str]:
    rows = await unit.connection.execute(
        select(assistants.c.id, assistants.c.name).where(assistants.c.id.in_(list(ids)))
    )
    return {row.id: row.name for row in rows}


def find_cycle(edges: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """One cycle, its first member repeated at the end; empty where there is none."""
    finished: set[Node] = set()
    for start in edges:
        path: list[Node] = []
        on_path: set[Node] = set()
        # depth first without recursion: (node, whether it is being left)
        waiting: list[tuple[Node, bool]] = [(start, False)]
        while waiting:
            node, leaving = waiting.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                finished.add(node)
            elif node in on_path:
                return [*path[path.index(node) :], node]
            elif node not in finished:
                path.append(node)
                on_path.add(node)
                waiting.append((node, True))
                waiting += [(callee_id, False) for callee_id in edges.get(node, ())]
    return []
