"""The bot's commands, but `/start`."""

import re
from collections.abc import Awaitable, Callable

from service_kit.contracts.messages import IncomingMessage, IncomingType
from service_kit.contracts.users import UserRead

from ..services.pending_update import Decision
from .base import Bot, Request
from .timezone import handle_timezone, told

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@\w+)?(?:\s+(.*))?", re.DOTALL)

CommandHandler = Callable[[Bot, Request, UserRead, str], Awaitable[Decision]]


def parse_command(text: str) -> tuple[str, str] | None:
    """Name (lower case, no slash) and argument; None where `text` is no command, such as `/etc/hosts`."""
    found = _COMMAND.fullmatch(text.strip())
    return (found[1].lower(), (found[2] or "").strip()) if found else None


async def handle_command(bot: Bot, question: Request, user: UserRead, name: str, argument: str) -> Decision:
    """The answer to `/name argument` of a known user."""
    handler = _HANDLERS.get(name)
    if handler is None:
        return question.answer(question.texts.unknown_command.format(command=f"/{name}"))
    return await handler(bot, question, user, argument)


async def _help(_bot: Bot, question: Request, _user: UserRead, _argument: str) -> Decision:
    return question.answer(question.texts.help)


async def _new(_bot: Bot, question: Request, user: UserRead, _argument: str) -> Decision:
    # the assistant keeps the conversation, so it also says that it has forgotten it
    return IncomingMessage(
        type=IncomingType.RESET,
        id=question.id,
        correlation_id=question.id,
        user_id=user.id,
        chat_id=question.message.chat.id,
        sent_at=question.message.date,
    )


async def _status(bot: Bot, question: Request, user: UserRead, _argument: str) -> Decision:
    texts = question.texts
    waiting = await bot.producer.waiting(bot.input_queue)
    zone = told(texts.zone_known, user.timezone) if user.timezone else texts.zone_unknown
    busy = texts.busy if waiting > bot.input_queue_limit // 10 else ""
    return question.answer(texts.status.format(waiting=waiting, busy=busy, zone=zone))


_HANDLERS: dict[str, CommandHandler] = {
    "help": _help,
    "new": _new,
    "timezone": handle_timezone,
    "status": _status,
}
