"""The bot's commands except `/start`."""

import re
from collections.abc import Awaitable, Callable

from service_kit.contracts.messages import IncomingMessage, IncomingType
from service_kit.contracts.users import UserRead

from ..services.pending_update import Decision
from .base import Bot, Request
from .timezone import format_zone, handle_timezone

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@\w+)?(?:\s+(.*))?", re.DOTALL)

CommandHandler = Callable[[Bot, Request, UserRead, str], Awaitable[Decision]]


def parse_command(text: str) -> tuple[str, str] | None:
    """Name (lower case, no slash) and argument; None for text that is no command, such as `/etc/hosts`."""
    found = _COMMAND.fullmatch(text.strip())
    return (found[1].lower(), (found[2] or "").strip()) if found else None


async def handle_command(bot: Bot, request: Request, user: UserRead, name: str, argument: str) -> Decision:
    """Reply to `/name argument` of a known user."""
    handler = _HANDLERS.get(name)
    if handler is None:
        return request.reply(request.texts.unknown_command.format(command=f"/{name}"))
    return await handler(bot, request, user, argument)


async def _help(_bot: Bot, request: Request, _user: UserRead, _argument: str) -> Decision:
    return request.reply(request.texts.help)


async def _new(_bot: Bot, request: Request, user: UserRead, _argument: str) -> Decision:
    # the assistant stores the conversation, so the assistant also confirms the reset
    return IncomingMessage(
        type=IncomingType.RESET,
        id=request.id,
        correlation_id=request.id,
        user_id=user.id,
        chat_id=request.message.chat.id,
        sent_at=request.message.date,
    )


async def _status(bot: Bot, request: Request, user: UserRead, _argument: str) -> Decision:
    texts = request.texts
    waiting = await bot.producer.waiting(bot.input_queue)
    zone = format_zone(texts.zone_known, user.timezone) if user.timezone else texts.zone_unknown
    busy = texts.busy if waiting > bot.input_queue_limit // 10 else ""
    return request.reply(texts.status.format(waiting=waiting, busy=busy, zone=zone))


_HANDLERS: dict[str, CommandHandler] = {
    "help": _help,
    "new": _new,
    "timezone": handle_timezone,
    "status": _status,
}
