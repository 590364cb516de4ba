"""Which bot this process is. Telegram says it, rest_service learns it, and only then work begins.

Ids of users, chats and updates belong to one bot. So every message of this service names its bot, and a
message that another bot left on the queue is not sent: chat 1001 of the sandbox is somebody else at Telegram
(ADR 0021).
"""

import asyncio

from service_kit.errors import NotFoundError
from service_kit.logging import get_logger

from ..client.errors import TelegramError
from ..client.models import BotIdentity
from ..client.rest import RestClient
from ..client.telegram import TelegramClient
from ..utils.texts import ENGLISH, RUSSIAN, menu

log = get_logger(__name__)


class Identity:
    """The bot of this process, once it is known."""

    def __init__(self, bot_id: int | None = None) -> None:
        self._bot_id = bot_id
        self._known = asyncio.Event()
        if bot_id is not None:
            self._known.set()

    @property
    def bot_id(self) -> int:
        """The bot's id at Telegram. Call it only after `wait_until_known`."""
        if self._bot_id is None:
            msg = "the bot is not known yet"
            raise RuntimeError(msg)
        return self._bot_id

    @property
    def is_known(self) -> bool:
        """Whether Telegram and rest_service have confirmed the bot."""
        return self._known.is_set()

    async def wait_until_known(self) -> None:
        """Wait until Telegram and rest_service have confirmed the bot."""
        await self._known.wait()

    async def announce(self, bot: BotIdentity, rest: RestClient) -> None:
        """Tell rest_service which bot is active.

        Raises:
            RestUnavailableError, AccessError: it did not accept the bot; nothing may be handled yet.
        """
        try:
            await rest.set_current_bot(bot.id, bot.username)
        except NotFoundError:  # an older rest_service, in the middle of an upgrade
            log.warning("bot_not_announced", reason="this rest_service supports one bot only")
        self._bot_id = bot.id
        self._known.set()


async def introduce_bot(
    identity: Identity, telegram: TelegramClient, rest: RestClient, bot: BotIdentity
) -> None:
    """Tell rest_service which bot this is, and Telegram which commands it has.

    Raises:
        RestUnavailableError, AccessError: it did not accept the bot; nothing may be handled yet.
    """
    await identity.announce(bot, rest)
    try:
        await telegram.set_my_commands(menu(ENGLISH))
        await telegram.set_my_commands(menu(RUSSIAN), "ru")
    except TelegramError as exc:  # the old menu stays
        log.warning("menu_update_failed", error=str(exc))
