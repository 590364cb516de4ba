"""Settings of tg_bot, from the process environment."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from service_kit.settings import QueueSettings, RedisSettings, RestClientSettings, ServiceSettings

_TOKEN = re.compile(r"[A-Za-z0-9_:.~-]+")


def _fits_into_an_address(token: SecretStr) -> SecretStr:
    # it is a part of every address of the Bot API, where another character would make another address
    if not _TOKEN.fullmatch(token.get_secret_value()):
        msg = "has characters that no bot's token has: copy it anew from @BotFather, and nothing beside it"
        raise ValueError(msg)
    return token


class Settings(ServiceSettings, RedisSettings, QueueSettings, RestClientSettings):
    """The settings of tg_bot."""

    telegram_token: Annotated[SecretStr, AfterValidator(_fits_into_an_address)] = Field(
        description="The bot's token, from @BotFather."
    )
    telegram_api_url: str = Field(
        default="https://api.telegram.org", description="Where the Bot API is: Telegram, or a stand-in."
    )
    telegram_rate_limit: int = Field(
        default=30, ge=0, description="Messages a second over all chats; 0 = no limit."
    )
    telegram_chat_rate_limit: float = Field(
        default=1.0, ge=0, description="Messages a second to one chat; 0 = no limit."
    )
    telegram_open_access: bool = Field(
        default=False, description="true: whoever writes becomes a member. false: strangers are refused."
    )
    owner_code: SecretStr | None = Field(
        default=None,
        description="`/start <code>` makes its sender the owner, while there is none.",
    )
    telegram_poll_timeout: int = Field(
        default=25, ge=0, le=50, description="Seconds that a long poll waits for updates."
    )
    telegram_typing_limit: float = Field(
        default=120.0,
        ge=0,
        description="Seconds after which 'typing…' is no longer renewed; 0 = never shown.",
    )
    input_queue_limit: int = Field(
        default=5_000,
        gt=0,
        description="Messages waiting for the assistant above which the bot leaves updates at Telegram.",
    )
