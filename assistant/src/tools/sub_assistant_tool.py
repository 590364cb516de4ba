"""Assistants as tools of other assistants."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_kit.contracts.tools import ToolType
from service_kit.logging import get_logger

from ..core.errors import AssistantError, BrokenRowError
from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..utils.text import compact_json
from .base import Arguments, BaseTool, InvalidInputError, ToolExecutionError
from .registry import SubAssistant, ToolKind, ToolSite, ToolSource

log = get_logger(__name__)

REQUEST_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "request": {
            "type": "string",
            "description": "What the assistant shall do, with everything it needs to know: "
            "it does not see this conversation.",
        }
    },
    "required": ["request"],
    "additionalProperties": False,
}


class ToolAssistant(BaseTool):
    """Any assistant as a tool: its answer to the request is the result."""

    def __init__(
        self,
        assistant: SubAssistant,
        *,
        name: str,
        description: str,
        schema: Mapping[str, Any] = REQUEST_SCHEMA,
    ) -> None:
        super().__init__(name=name, description=description, schema=schema)
        self.assistant = assistant

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """The assistant's answer, in a run of its own, one level deeper.

        Raises:
            InvalidInputError: nothing was asked.
            ToolExecutionError: it gave none; why stands in the log, not in the text.
        """
        request, deeper = _read_request(arguments), context.for_sub_assistant()
        try:
            return await self.assistant.process_message(request, context.user.id, deeper)
        except AssistantError as exc:
            # the reason may name providers and keys: it is for the log, not for the model above
            log.warning("sub_assistant_failed", assistant=self.assistant.name, reason=str(exc))
            msg = f"{self.assistant.name} cannot answer at the moment"
            raise ToolExecutionError(msg) from exc


class SubAssistantTool(ToolAssistant):
    """A sub-assistant as a tool of the assistant above it.

    The user comes from the run's context. Where `user_id` is given, the tool serves that user alone.
    """

    def __init__(
        self,
        sub_assistant: SubAssistant,
        assistant_id: UUID | str | None = None,
        name: str | None = None,
        description: str | None = None,
        user_id: int | None = None,
        *,
        schema: Mapping[str, Any] = REQUEST_SCHEMA,
        max_depth: int = 4,
    ) -> None:
        super().__init__(
            sub_assistant,
            name=name or "sub_assistant",
            description=description or f"Asks {sub_assistant.name}, an assistant with its own tools.",
            schema=schema,
        )
        self.assistant_id = str(assistant_id or sub_assistant.assistant_id)
        self.user_id = user_id
        self.max_depth = max_depth

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """The sub-assistant's answer; raises ToolExecutionError beyond the depth limit."""
        # the object is shared by all users: whose run it is only the context knows
        if self.user_id is not None and self.user_id != context.user.id:
            msg = "this tool belongs to another user"
            raise ToolExecutionError(msg)
        if context.depth >= self.max_depth:
            msg = f"assistants may ask each other only {self.max_depth} deep; answer with what you have"
            raise ToolExecutionError(msg)
        started = asyncio.get_running_loop().time()
        # until the answer is there: an error or a cancellation leaves it so
        outcome = "failed"
        try:
            answer = await super().execute(arguments, context)
            outcome = "ok"
        finally:
            log.info(
                "sub_assistant_called",
                assistant=self.assistant.name,
                assistant_id=self.assistant_id,
                depth=context.depth + 1,
                call=context.path,
                outcome=outcome,
                ms=round((asyncio.get_running_loop().time() - started) * 1000, 1),
            )
        return answer


def _read_request(arguments: Arguments) -> str:
    """The text for the assistant; a row's own schema may ask for other fields than `request`."""
    request = arguments.get("request", "?")
    if not request:
        msg = "say in `request` what the assistant shall do"
        raise InvalidInputError(msg)
    return request if isinstance(request, str) and "request" in arguments else compact_json(dict(arguments))


def _build(source: ToolSource, site: ToolSite) -> BaseTool:
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


TOOL_KIND = ToolKind(ToolType.SUB_ASSISTANT, _build)
