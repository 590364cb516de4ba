"""`/start`: a greeting; with the owner's code its sender becomes the first owner."""

import hmac
from dataclasses import replace

from service_kit.contracts.users import UserRead, UserRole, UserUpdate
from service_kit.errors import ConflictError
from service_kit.logging import get_logger

from ..services.pending_update import Decision
from .base import REFUSAL_PAUSE, Bot, Request
from .profile import first_name_of, get_or_create, language_of, update_profile, username_of

log = get_logger(__name__)

WRONG_CODES = 5
"""Wrong codes that a chat may send in `WRONG_CODES_PERIOD` seconds; then even the right one is refused."""
WRONG_CODES_PERIOD = 3_600


async def handle_start(bot: Bot, request: Request, payload: str) -> Decision:
    """Reply to `/start` or `/start <payload>`.

    Raises:
        RestUnavailableError: the writer is unknown and nothing was changed; try again.
    """
    user = request.user
    if payload and (user is None or user.role is not UserRole.OWNER):
        if reply := await _try_code(bot, request, payload):
            return reply
    elif payload:
        return request.reply(request.texts.already_owner)
    if user:
        await update_profile(bot.changes, user, request.sender)
        return request.reply(request.texts.welcome_back.format(name=request.name))
    if bot.open_access:
        member = await get_or_create(bot.rest, request.sender)
        return replace(request, user=member).reply(request.texts.welcome.format(name=request.name))
    return await refuse(bot, request)


async def refuse(bot: Bot, request: Request) -> Decision:
    """Tell a stranger that the assistant is private, once in `REFUSAL_PAUSE`."""
    if not await bot.throttle.once(
        f"stranger:{request.message.chat.id}", request.update_id, seconds=REFUSAL_PAUSE
    ):
        return None
    log.info("stranger_rejected", telegram_id=request.sender.id)
    return request.reply(request.texts.stranger)


async def _try_code(bot: Bot, request: Request, code: str) -> Decision:
    """The reply to a code; None where the sender gets the same reply as without one."""
    key = f"code:{request.message.chat.id}"
    # before the code is compared: guessing must not go on until the right one is found
    if await bot.throttle.count(key) >= WRONG_CODES:
        first = await bot.throttle.once(f"{key}:told", request.update_id, seconds=WRONG_CODES_PERIOD)
        return request.reply(request.texts.too_many_codes) if first else None
    if not _is_owner_code(bot, code):
        await bot.throttle.add(key, request.update_id, seconds=WRONG_CODES_PERIOD)
        log.warning("wrong_owner_code", telegram_id=request.sender.id)
        # somebody who needs no code is greeted, whatever link brought them here
        has_access = request.user is not None or bot.open_access
        return None if has_access else request.reply(request.texts.wrong_code)
    owner = await _become_owner(bot, request)
    if owner is None:
        return request.reply(request.texts.owner_taken)
    log.info("owner_claimed", user_id=owner.id, telegram_id=owner.telegram_id)
    return replace(request, user=owner).reply(request.texts.welcome_owner.format(name=request.name))


def _is_owner_code(bot: Bot, code: str) -> bool:
    if bot.owner_code is None:
        return False
    # in constant time, which tells nothing about the code
    return hmac.compare_digest(code.encode(), bot.owner_code.get_secret_value().encode())


async def _become_owner(bot: Bot, request: Request) -> UserRead | None:
    """Make the sender the owner; None where there is another one (the database allows one)."""
    sender, user = request.sender, request.user
    try:
        if user is None:
            return await bot.rest.create_user(
                sender.id,
                username_of(sender),
                first_name=first_name_of(sender),
                language=language_of(sender),
                role=UserRole.OWNER,
            )
        return await bot.rest.update_user(user, UserUpdate(role=UserRole.OWNER))
    except ConflictError:
        # either there is an owner, or our answer was lost and the sender is the owner already
        now = await bot.rest.get_user(sender.id)
        return now if now and now.role is UserRole.OWNER else None
