"""From a row of rest_service to a tool: one registry, type → builder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from service_kit.contracts.assistants import AssistantToolRead, ToolRead, ToolType

from ..core.errors import BrokenRowError, UnknownToolTypeError
from ..core.model import JsonSchema
from .base import BaseTool
from .sub_assistant_tool import REQUEST_SCHEMA, SubAssistantTool
from .time_tool import TIME_SCHEMA, TimeTool

if TYPE_CHECKING:
    from ..assistants.base import BaseAssistant


@dataclass(frozen=True, slots=True)
class ToolSite:
    """Where a tool is built: what builders need besides the row."""

    sub_assistant: Callable[[UUID], "BaseAssistant"]
    """Builds the assistant with this id; raises ConfigurationError where that is impossible."""
    tool_timeout: float = 20.0
    max_depth: int = 4


ToolBuilder = Callable[["RestServiceTool", ToolSite], BaseTool]


class RestServiceTool:
    """A tool as rest_service describes it, linked to one assistant."""

    def __init__(
        self,
        row: ToolRead,
        link: AssistantToolRead,
        site: ToolSite,
        builders: Mapping[str, ToolBuilder] | None = None,
    ) -> None:
        self.row = row
        self.link = link
        self._site = site
        self._builders = BUILDERS if builders is None else builders

    def to_tool(self) -> BaseTool:
        """The tool that the row describes.

        Raises:
            UnknownToolTypeError: no builder for the row's type.
            BrokenRowError: the row contradicts itself.
            ConfigurationError: a sub-assistant behind it cannot be built.
        """
        builder = self._builders.get(self.row.tool_type)
        if builder is None:
            msg = f"tool {self.row.name!r}: unknown type {self.row.tool_type!r}"
            raise UnknownToolTypeError(msg)
        return builder(self, self._site)

    def schema_or(self, default: JsonSchema) -> JsonSchema:
        """The row's own schema of the arguments, or the type's.

        Raises:
            BrokenRowError: the row's is not a JSON object.
        """
        text = self.row.input_schema
        if not text or not text.strip():
            return default
        try:
            schema = json.loads(text)
        except (ValueError, RecursionError) as exc:
            msg = f"tool {self.row.name!r}: its schema is not JSON"
            raise BrokenRowError(msg) from exc
        if not isinstance(schema, dict):
            msg = f"tool {self.row.name!r}: its schema is not a JSON object"
            raise BrokenRowError(msg)
        return schema or default


def _time(source: RestServiceTool, site: ToolSite) -> BaseTool:
    return TimeTool(
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(TIME_SCHEMA),
        timeout=site.tool_timeout,
    )


def _sub_assistant(source: RestServiceTool, site: ToolSite) -> BaseTool:
    assistant_id = source.link.sub_assistant_id or source.row.assistant_id
    if assistant_id is None:
        msg = f"tool {source.row.name!r}: it names no assistant to ask"
        raise BrokenRowError(msg)
    return SubAssistantTool(
        site.sub_assistant(assistant_id),
        assistant_id=assistant_id,
        name=source.row.name,
        description=source.row.description,
        schema=source.schema_or(REQUEST_SCHEMA),
        max_depth=site.max_depth,
    )


BUILDERS: Mapping[str, ToolBuilder] = {
    ToolType.TIME: _time,
    ToolType.SUB_ASSISTANT: _sub_assistant,
}
"""Every tool type this service knows."""
