"""Tool types: each is one file of this folder, `<type>_tool.py`, that names itself in `TOOL_KIND`.

Nothing else lists them: the service looks for the files when it starts, and makes their types known in
Redis, so that rest_service takes rows of a type that it has never heard of.
"""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from uuid import UUID

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.contracts.assistants import AssistantToolRead
from service_kit.contracts.tools import TOOL_TYPE_PATTERN, TOOL_TYPES_KEY, ToolRead
from service_kit.logging import get_logger
from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.rest.client import AsyncRestClient

from ..core.errors import BrokenRowError
from ..core.model import JsonSchema
from ..core.run_context import RunContext
from ..services.weather import WeatherClient
from .base import BaseTool

log = get_logger(__name__)

_SUFFIX = "_tool"


@dataclass(frozen=True, slots=True)
class ToolServices:
    """What tools may use of the outside; made once, in `main`."""

    rest: AsyncRestClient
    weather: WeatherClient


class SubAssistant(Protocol):
    """What a tool needs of the assistant that it asks; every `BaseAssistant` has it."""

    assistant_id: str
    name: str

    async def process_message(self, message: str, user_id: int, context: RunContext | None = None) -> str:
        """The answer; raises AssistantError where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ToolSite:
    """What a tool is built from besides its row."""

    sub_assistant: Callable[[UUID], SubAssistant]
    """Builds the assistant with this id; raises ConfigurationError where that is impossible."""
    services: ToolServices
    tool_timeout: float = 20.0
    max_depth: int = 4


class ToolSource:
    """What a tool is built from: a row of rest_service, and its link to one assistant."""

    def __init__(self, row: ToolRead, link: AssistantToolRead) -> None:
        self.row = row
        self.link = link

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


@dataclass(frozen=True, slots=True)
class ToolKind:
    """A tool type: what rows call it (`TOOL_TYPE_PATTERN`), and how a row of it becomes a tool.

    `build` raises BrokenRowError for a row that contradicts itself.
    """

    name: str
    build: Callable[[ToolSource, ToolSite], BaseTool]


@cache
def tool_kinds() -> Mapping[str, ToolKind]:
    """All tool types, by name.

    Raises:
        ValueError: two files claim the same type, or its name does not match TOOL_TYPE_PATTERN.
        ImportError: a file cannot be imported.
    """
    kinds: dict[str, ToolKind] = {}
    # by `__path__`, so that an installed package and a test's extra folder are searched alike
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.endswith(_SUFFIX):
            continue
        kind = getattr(importlib.import_module(f"{__package__}.{module.name}"), "TOOL_KIND", None)
        if not isinstance(kind, ToolKind):
            continue
        if kind.name in kinds or not re.fullmatch(TOOL_TYPE_PATTERN, kind.name):
            reason = "is there already" if kind.name in kinds else "is no lower-case word"
            msg = f"{module.name}.py: the tool type {kind.name!r} {reason}"
            raise ValueError(msg)
        kinds[kind.name] = kind
    return kinds


async def announce_tool_types(redis: aioredis.Redis) -> None:
    """Let rest_service know which types rows may have; without Redis it knows those of before."""
    kinds = sorted(tool_kinds())
    # only added: during an upgrade an older replica may still have types that this one lacks
    try:
        await OomSafeWriter(redis).write(("SADD", TOOL_TYPES_KEY, *kinds))
    except RedisError as exc:
        log.warning("tool_types_not_announced", reason=type(exc).__name__)
    else:
        log.info("tool_types_announced", types=kinds)
