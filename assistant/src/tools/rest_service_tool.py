"""From a row of rest_service to a tool."""

import json
from collections.abc import Mapping

from service_kit.contracts.assistants import AssistantToolRead, ToolRead

from ..core.errors import BrokenRowError, UnknownToolTypeError
from ..core.model import JsonSchema
from .base import BaseTool
from .registry import ToolKind, ToolSite, tool_kinds


class RestServiceTool:
    """A tool as rest_service describes it, linked to one assistant."""

    def __init__(
        self,
        row: ToolRead,
        link: AssistantToolRead,
        site: ToolSite,
        kinds: Mapping[str, ToolKind] | None = None,
    ) -> None:
        self.row = row
        self.link = link
        self._site = site
        self._kinds = tool_kinds() if kinds is None else kinds

    def to_tool(self) -> BaseTool:
        """The tool that the row describes.

        Raises:
            UnknownToolTypeError: no file of this folder is of the row's type.
            BrokenRowError: the row contradicts itself.
            ConfigurationError: a sub-assistant behind it cannot be built.
        """
        kind = self._kinds.get(self.row.tool_type)
        if kind is None:
            known = ", ".join(sorted(self._kinds))
            msg = f"tool {self.row.name!r}: unknown type {self.row.tool_type!r}; known: {known}"
            raise UnknownToolTypeError(msg)
        return kind.build(self, self._site)

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
