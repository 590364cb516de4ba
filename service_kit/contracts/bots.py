"""The current bot (`/api/bot`)."""

from typing import Annotated

from pydantic import Field, Strict

from service_kit.contracts.base import AS_WHOLE, Body, Resource

_ID = "The bot's id at Telegram, as `getMe` answers it."
_USERNAME = "The bot's name after the @."


class BotPut(Body):
    """The bot that becomes the current one."""

    id: Annotated[int, Strict(), Field(ge=1, le=2**52), AS_WHOLE] = Field(
        description=_ID, examples=[7100200300]
    )
    username: str = Field(default="", max_length=64, description=_USERNAME, examples=["my_assistant_bot"])


class BotRead(Resource):
    """A bot."""

    id: int = Field(description=_ID, examples=[7100200300])
    username: str = Field(description=_USERNAME, examples=["my_assistant_bot"])
