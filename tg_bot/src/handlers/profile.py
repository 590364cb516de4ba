"""The user's profile: rest_service gets what Telegram says about the writer of a message."""

import re

from service_kit.contracts.users import UserRead, UserUpdate

from ..client.models import TelegramUser
from ..client.rest import RestClient
from ..services.user_changes import UserChanges

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


def first_name_of(sender: TelegramUser) -> str | None:
    """As rest_service accepts it."""
    return sender.first_name.strip()[:256] or None


def username_of(sender: TelegramUser) -> str | None:
    """As rest_service accepts it."""
    return (sender.username or "").strip()[:64] or None


def language_of(sender: TelegramUser) -> str | None:
    """The IETF tag of the writer's Telegram app, if it is valid."""
    tag = sender.language_code or ""
    return tag if _LANGUAGE.fullmatch(tag) and len(tag) <= 35 else None


async def get_or_create(rest: RestClient, sender: TelegramUser) -> UserRead:
    """The user who writes; creates a member where there is none."""
    return await rest.get_or_create_user(
        sender.id,
        username_of(sender),
        first_name=first_name_of(sender),
        language=language_of(sender),
    )


async def update_profile(changes: UserChanges, user: UserRead, sender: TelegramUser) -> None:
    """Store a new name, and that a user who was unreachable is back.

    The language is stored only where none is known, because the user may have chosen it.
    """
    seen = {
        "first_name": first_name_of(sender) or user.first_name,
        "username": username_of(sender),
        "language": user.language or language_of(sender),
        "is_active": True,
    }
    new = {name: value for name, value in seen.items() if getattr(user, name) != value}
    if new:
        await changes.apply(user.telegram_id, UserUpdate.model_validate(new))
