"""What the queue itself reads of a message: whom order is kept for, and the id.

The Lua scripts do the same for messages that stand in Redis (`identify` in `scripts/lib.lua`); this is
its twin for the in-memory queue, held to it by the contract tests.
"""

import hashlib
import json
import math
from dataclasses import dataclass

from pydantic import BaseModel

from service_kit.queue.base import Delivery

LONGEST_NAME = 256
"""Bytes of an id or group that stand in key names; a longer one is replaced by its hash."""


class PoisonError(ValueError):
    """The bytes are no message: not a JSON object."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Group and id of a message; either may be empty."""

    group: str
    id: str


def identify(raw: bytes, group_fields: tuple[str, ...]) -> Identity:
    """Read group and id; raises PoisonError."""
    text = raw.decode("utf-8", "surrogateescape")
    if not text.lstrip(" \t\r\n\v\f").startswith("{"):
        raise PoisonError("not a JSON object")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PoisonError(f"broken JSON: {exc}") from exc
    names = (_name(message.get(field), exact=False) for field in group_fields)
    return Identity(next(filter(None, names), ""), _name(message.get("id"), exact=True))


def _name(value: object, *, exact: bool) -> str:
    if isinstance(value, str):
        return short(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if exact and abs(value) >= 2**53:  # Lua's numbers cannot tell such ids apart
        return ""
    return short(str(int(value))) if value == int(value) else format(value, ".17g")


def correlation_of(delivery: Delivery) -> str:
    """What names the delivery's conversation in the logs of all services: see `Envelope.correlation`."""
    try:
        value = json.loads(delivery.raw).get("correlation_id")
    except (ValueError, RecursionError, AttributeError):
        value = None
    return value if isinstance(value, str) and value else delivery.id or "none"


def short(name: str) -> str:
    """`name`, or its hash when it is too long for a key."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= LONGEST_NAME:
        return name
    return "sha1:" + hashlib.sha1(encoded, usedforsecurity=False).hexdigest()


def id_of(message: BaseModel) -> str:
    """The `id` of a message that is to be enqueued; empty where it has none."""
    value = getattr(message, "id", None)
    return "" if value is None else short(str(value))


def encode(message: BaseModel) -> bytes:
    """The message as it stands in the list: one JSON object."""
    return message.model_dump_json(exclude_none=True).encode()
