"""Who writes: keeps what rest_service knows of a user in step with what Telegram says."""

import asyncio
import re

from service_kit.contracts.users import UserRead, UserUpdate
from service_kit.errors import KitError
from service_kit.logging import get_logger

from ..client.models import Sender
from ..client.rest import RestClient

log = get_logger(__name__)

UPDATE_TIMEOUT = 1.5
"""Seconds that a message waits for what is new of its writer to be stored."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


def first_name_of(sender: Sender) -> str | None:
    """As rest_service accepts it."""
    return sender.first_name.strip()[:256] or None


def username_of(sender: Sender) -> str | None:
    """As rest_service accepts it."""
    return (sender.username or "").strip()[:64] or None


def language_of(sender: Sender) -> str | None:
    """The IETF tag of the writer's Telegram app, where it is one."""
    tag = sender.language_code or ""
    return tag if _LANGUAGE.fullmatch(tag) and len(tag) <= 35 else None


async def get_or_create(rest: RestClient, sender: Sender) -> UserRead:
    """The user who writes, made a member where there is none."""
    return await rest.get_or_create_user(
        sender.id,
        username_of(sender),
        first_name=first_name_of(sender),
        language=language_of(sender),
    )


async def keep_in_step(rest: RestClient, user: UserRead, sender: Sender) -> None:
    """Store what is new: a name, and that a user who could not be reached is back.

    The language is stored only where none is known, for it may have been chosen on purpose. A failure
    is not worth holding the message up: the next message tries again.
    """
    seen = {
        "first_name": first_name_of(sender) or user.first_name,
        "username": username_of(sender),
        "language": user.language or language_of(sender),
        "is_active": True,
    }
    changes = {name: value for name, value in seen.items() if getattr(user, name) != value}
    if changes:
        await _update(rest, user, UserUpdate.model_validate(changes))


async def set_reachable(rest: RestClient, user: UserRead, *, reachable: bool) -> None:
    """Store whether Telegram can deliver to this user; their jobs rest while it cannot."""
    if user.is_active != reachable:
        await _update(rest, user, UserUpdate(is_active=reachable))


async def _update(rest: RestClient, user: UserRead, change: UserUpdate) -> None:
    try:
        async with asyncio.timeout(UPDATE_TIMEOUT):
            await rest.update_user(user, change)
    except (KitError, TimeoutError) as exc:
        log.warning("user_not_updated", user_id=user.id, error=str(exc) or type(exc).__name__)
    else:
        log.info("user_updated", user_id=user.id, fields=sorted(change.model_fields_set))
