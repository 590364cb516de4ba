"""Which types tools may have: the built-in ones, and those that an assistant service has announced.

A new type is one file in assistant, which adds its types to a SET in Redis when it starts. So a type is
known here once an assistant that has it has run. Nothing takes a type away: whoever has lost its file skips
such rows. With Redis away, what was seen in it last is known.
"""

import asyncio
import re
from collections.abc import Collection
from difflib import get_close_matches

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.contracts.tools import TOOL_TYPE_PATTERN, TOOL_TYPES_KEY, ToolType
from service_kit.logging import get_logger

from .errors.api import InvalidError

log = get_logger(__name__)

BUILT_IN = frozenset(kind.value for kind in ToolType)
TIMEOUT = 2.0
"""Seconds to wait for Redis."""


class ToolTypes:
    """See the module; `redis` should not retry by itself."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._known = BUILT_IN

    async def read(self) -> frozenset[str]:
        """All known types; with Redis away, those that were read last."""
        try:
            async with asyncio.timeout(TIMEOUT):
                announced = await self._redis.smembers(TOOL_TYPES_KEY)
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("tool_types_read_failed", error=str(exc) or type(exc).__name__)
        else:
            names = {name.decode(errors="replace") for name in announced if isinstance(name, bytes)}
            # added, never removed: a Redis that has lost its data must not make stored tools unchangeable
            self._known |= {name for name in names if re.fullmatch(TOOL_TYPE_PATTERN, name)}
        return self._known

    async def require(self, tool_type: str | None) -> None:
        """Raise InvalidError for an unknown type; None is allowed."""
        if tool_type is None or tool_type in self._known:
            return
        known = await self.read()
        if tool_type not in known:
            raise InvalidError(describe_unknown(tool_type, known), field="tool_type")


def describe_unknown(tool_type: str, known: Collection[str]) -> str:
    """The sentence for an unknown type."""
    alike = get_close_matches(tool_type, known, n=1)
    question = f" Did you mean {alike[0]!r}?" if alike else ""
    *others, last = sorted(known)
    return (
        f"There is no tool type {tool_type!r}.{question} Known are {', '.join(others)} and {last}; "
        "a new one is known once an assistant service that has it has started."
    )
