"""Messages as bytes in a list: encoding, id, correlation.

Whom order is kept for is read by the Lua scripts alone (`identify` in `scripts/lib.lua`).
"""

import hashlib
import json

from pydantic import BaseModel

from service_kit.queue.base import Delivery

LONGEST_NAME = 256
"""Bytes of an id or group that stand in key names; a longer one is replaced by its hash."""


def correlation_of(delivery: Delivery) -> str:
    """What names the delivery's conversation in the logs of all services: see `Envelope.correlation`."""
    try:
        value = json.loads(delivery.raw).get("correlation_id")
    except (ValueError, RecursionError, AttributeError):
        value = None
    return value if isinstance(value, str) and value else delivery.id or "none"


def short(name: str) -> str:
    """`name`, or its hash where it is too long for a key."""
    # surrogateescape: what was not UTF-8 in the list must become the same bytes again
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
