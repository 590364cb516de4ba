"""From a row of rest_service to a tool."""

from collections.abc import Mapping

from service_kit.contracts.assistants import AssistantToolRead
from service_kit.contracts.tools import ToolRead

from ..core.errors import UnknownToolTypeError
from .base import BaseTool
from .registry import ToolKind, ToolSite, ToolSource, tool_kinds


class RestServiceTool(ToolSource):
    """A tool as rest_service describes it, linked to one assistant."""

    def __init__(
        self,
        row: ToolRead,
        link: AssistantToolRead,
        site: ToolSite,
        kinds: Mapping[str, ToolKind] | None = None,
    ) -> None:
        super().__init__(row, link)
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
