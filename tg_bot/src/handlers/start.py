"""`/start`: a greeting, or with the owner's code the way in for the first owner."""

import hmac
from dataclasses import replace

from service_kit.contracts.users import UserRead, UserRole, UserUpdate
from service_kit.errors import ConflictError
from service_kit.logging import get_logger

from ..services.pending_update import Decision
from .base import REFUSAL_PAUSE, Bot, Request
from .people import first_name_of, get_or_create, keep_in_step, language_of, username_of

log = get_logger(__name__)

WRONG_CODES = 5
"""Wrong codes a chat may send in `WRONG_CODES_PERIOD` seconds; then not even the right one works."""
WRONG_CODES_PERIOD = 3_600


async def handle_start(bot: Bot, question: Request, payload: str) -> Decision:
    """The answer to `/start` or `/start <payload>`.

    Raises:
        RestUnavailableError: nothing is known of the writer and nothing was changed; try again.
    """
    user = question.user
    if payload and (user is None or user.role is not UserRole.OWNER):
        if outcome := await _try_code(bot, question, payload):
            return outcome
    elif payload:
        return question.answer(question.texts.already_owner)
    if user:
        await keep_in_step(bot.changes, user, question.sender)
        return question.answer(question.texts.welcome_back.format(name=question.name))
    if bot.open_access:
        return _as(
            await get_or_create(bot.rest, question.sender),
            question,
            question.texts.welcome.format(name=question.name),
        )
    return await refuse(bot, question)


async def refuse(bot: Bot, question: Request) -> Decision:
    """What a stranger hears: one friendly sentence, not at every message."""
    if not await bot.throttle.once(
        f"stranger:{question.message.chat.id}", question.update_id, seconds=REFUSAL_PAUSE
    ):
        return None
    log.info("stranger_refused", telegram_id=question.sender.id)
    return question.answer(question.texts.stranger)


async def _try_code(bot: Bot, question: Request, code: str) -> Decision:
    """What comes of a code; None where the sender hears what he would hear without one."""
    key = f"code:{question.message.chat.id}"
    if await bot.throttle.count(key) >= WRONG_CODES:
        first = await bot.throttle.once(f"{key}:told", question.update_id, seconds=WRONG_CODES_PERIOD)
        return question.answer(question.texts.too_many_codes) if first else None
    if not _is_owner_code(bot, code):
        await bot.throttle.add(key, question.update_id, seconds=WRONG_CODES_PERIOD)
        log.warning("wrong_owner_code", telegram_id=question.sender.id)
        # who may come in without a code is greeted, whatever link brought them here
        may_come_in = question.user is not None or bot.open_access
        return None if may_come_in else question.answer(question.texts.wrong_code)
    owner = await _become_owner(bot, question)
    if owner is None:
        return question.answer(question.texts.owner_taken)
    log.info("owner_claimed", user_id=owner.id, telegram_id=owner.telegram_id)
    return _as(owner, question, question.texts.welcome_owner.format(name=question.name))


def _is_owner_code(bot: Bot, code: str) -> bool:
    if bot.owner_code is None:
        return False
    return hmac.compare_digest(code.encode(), bot.owner_code.get_secret_value().encode())


async def _become_owner(bot: Bot, question: Request) -> UserRead | None:
    """The sender as owner; None where there is another one (the database allows one)."""
    sender, user = question.sender, question.user
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
        # either there is an owner, or an answer was lost and the sender is it already
        now = await bot.rest.get_user(sender.id)
        return now if now and now.role is UserRole.OWNER else None


def _as(user: UserRead, question: Request, text: str) -> Decision:
    """The answer to somebody who has just become `user`."""
    return replace(question, user=user).answer(text)
