"""An assistant with all it can reach, in one statement whatever its size.

One statement is one snapshot: a change that is committed meanwhile is in all of the answer or in none
of it. PostgreSQL writes the JSON, which is handed on as it is. The edges are not factored out: as a table
expression that is used twice they would be computed whole, for all assistants there are.
"""

from uuid import UUID

from sqlalchemy import Uuid, bindparam, text

from ..database import UnitOfWork
from ..errors.api import NotFoundError

TREE = text("""
WITH RECURSIVE
reached(id) AS (
    SELECT a.id FROM assistants a WHERE a.id = :root AND a.is_active
    UNION
    SELECT a.id
    FROM reached r
    JOIN assistant_tool_links l ON l.assistant_id = r.id AND l.is_active
    JOIN tools t ON t.id = l.tool_id AND t.is_active AND t.tool_type = 'sub_assistant'
    JOIN assistants a ON a.id = coalesce(l.sub_assistant_id, t.assistant_id) AND a.is_active
),
used AS (
    SELECT l.id AS link_id, l.tool_id
    FROM reached r
    JOIN assistant_tool_links l ON l.assistant_id = r.id AND l.is_active
    JOIN tools t ON t.id = l.tool_id AND t.is_active
    WHERE t.tool_type <> 'sub_assistant'
       OR coalesce(l.sub_assistant_id, t.assistant_id) IN (SELECT id FROM reached)
)
SELECT json_build_object(
    'root_id', CAST(:root AS uuid),
    'assistants', (SELECT json_agg(a ORDER BY a.created_at, a.id)
                   FROM assistants a WHERE a.id IN (SELECT id FROM reached)),
    'tools', (SELECT coalesce(json_agg(t ORDER BY t.name), '[]')
              FROM tools t WHERE t.id IN (SELECT tool_id FROM used)),
    'links', (SELECT coalesce(json_agg(l ORDER BY l.created_at, l.id), '[]')
              FROM assistant_tool_links l WHERE l.id IN (SELECT link_id FROM used))
)::text
WHERE EXISTS (SELECT FROM reached)
""").bindparams(bindparam("root", type_=Uuid()))


async def read_tree(unit: UnitOfWork, root: UUID) -> str:
    """The JSON of an `AssistantTree`: active rows only.

    Raises:
        NotFoundError: there is no such assistant, or it is not active.
    """
    found: str | None = await unit.connection.scalar(TREE, {"root": root})
    if found is None:
        msg = f"There is no active assistant {root}. It may have been deleted or switched off."
        raise NotFoundError(msg)
    return found
