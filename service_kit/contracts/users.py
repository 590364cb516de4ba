"""Users (`/api/users`)."""

from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field, Strict, StringConstraints

from service_kit.contracts.base import AS_WHOLE, Body, Choice, Flag, Moment, Patch, Resource, TimeZoneName

LANGUAGE_PATTERN = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"

_RANGE = Field(ge=-(2**52), le=2**52)
TelegramId = Annotated[int, _RANGE]
"""Telegram promises at most 52 significant bits (Bot API, `User.id`); JSON's numbers are exact so far."""
LanguageCode = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN, max_length=35)]


class UserRole(Choice):
    """What a person may do. There is at most one owner of each bot."""

    OWNER = "owner"
    MEMBER = "member"
    BLOCKED = "blocked"


_USERNAME = "The name after the @ at Telegram, where the user has one."
_FIRST_NAME = "What the assistants call the user."
_LANGUAGE = "Language code as Telegram gives it."
_TIMEZONE = "IANA time zone; none until the user has told it (UTC is assumed)."
_ROLE = "`owner` (at most one of a bot), `member`, or `blocked`."
_IS_ACTIVE = "False while Telegram says the user cannot be reached."


class UserUpdate(Patch):
    """Fields of a user that `PATCH` may change; those not sent stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"first_name": "Ada", "timezone": "Europe/Berlin"}]}
    )
    clearable = frozenset({"username", "first_name", "language", "timezone", "last_seen_at"})

    username: str | None = Field(default=None, max_length=64, description=_USERNAME, examples=["ada"])
    first_name: str | None = Field(default=None, max_length=256, description=_FIRST_NAME, examples=["Ada"])
    language: LanguageCode | None = Field(default=None, description=_LANGUAGE, examples=["en"])
    timezone: TimeZoneName | None = Field(default=None, description=_TIMEZONE, examples=["Europe/Berlin"])
    role: UserRole | None = Field(default=None, description=_ROLE, examples=["member"])
    is_active: Flag | None = Field(default=None, description=_IS_ACTIVE, examples=[True])
    last_seen_at: Moment | None = Field(
        default=None, description="When the user last wrote.", examples=["2026-11-22T09:00:00Z"]
    )


class UserCreate(Body):
    """A new user."""

    telegram_id: Annotated[int, Strict(), _RANGE, AS_WHOLE] = Field(
        description="The user's id at Telegram. Unique among the people of a bot.", examples=[100200300]
    )
    username: str | None = Field(default=None, max_length=64, description=_USERNAME, examples=["ada"])
    first_name: str | None = Field(default=None, max_length=256, description=_FIRST_NAME, examples=["Ada"])
    language: LanguageCode | None = Field(default=None, description=_LANGUAGE, examples=["en"])
    timezone: TimeZoneName | None = Field(default=None, description=_TIMEZONE, examples=["Europe/Berlin"])
    role: UserRole = Field(default=UserRole.MEMBER, description=_ROLE, examples=["member"])
    is_active: Flag = Field(default=True, description=_IS_ACTIVE, examples=[True])


class UserRead(Resource):
    """A user."""

    id: int = Field(description="The number this service gives the user.", examples=[1])
    telegram_id: int = Field(description="The user's id at Telegram.", examples=[100200300])
    bot_id: int = Field(
        default=0,
        description="The bot that the user talks to; 0 where no bot has played yet.",
        examples=[7100200300],
    )
    username: str | None = Field(default=None, description=_USERNAME, examples=["ada"])
    first_name: str | None = Field(default=None, description=_FIRST_NAME, examples=["Ada"])
    language: str | None = Field(default=None, description=_LANGUAGE, examples=["en"])
    timezone: str | None = Field(default=None, description=_TIMEZONE, examples=["Europe/Berlin"])
    role: UserRole = Field(description=_ROLE, examples=["member"])
    is_active: bool = Field(description=_IS_ACTIVE, examples=[True])
    last_seen_at: AwareDatetime | None = Field(
        default=None, description="When the user last wrote.", examples=["2026-11-22T09:00:00Z"]
    )
