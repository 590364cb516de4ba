"""Users (`/api/users`)."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from service_kit.contracts.base import Body, Resource, TimeZoneName

TelegramId = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
LanguageCode = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)
]


class UserRole(StrEnum):
    """What a person may do. There is at most one owner."""

    OWNER = "owner"
    MEMBER = "member"
    BLOCKED = "blocked"


class UserUpdate(Body):
    """Fields of a user that `PATCH` may change; those not sent stay as they are."""

    username: str | None = Field(default=None, max_length=64, examples=["ada"])
    first_name: str | None = Field(default=None, max_length=256, examples=["Ada"])
    language: LanguageCode | None = Field(default=None, examples=["en"])
    timezone: TimeZoneName | None = Field(default=None, examples=["Europe/Berlin"])
    role: UserRole | None = Field(default=None, examples=["member"])
    is_active: bool | None = Field(
        default=None, description="False while Telegram says the user cannot be reached."
    )
    last_seen_at: AwareDatetime | None = Field(default=None, description="When the user last wrote.")


class UserCreate(Body):
    """A new user."""

    telegram_id: TelegramId = Field(description="The user's id at Telegram.", examples=[100200300])
    username: str | None = Field(default=None, max_length=64, examples=["ada"])
    first_name: str | None = Field(default=None, max_length=256, examples=["Ada"])
    language: LanguageCode | None = Field(default=None, examples=["en"])
    timezone: TimeZoneName | None = Field(default=None, examples=["Europe/Berlin"])
    role: UserRole = Field(default=UserRole.MEMBER, examples=["member"])
    is_active: bool = Field(default=True)


class UserRead(Resource):
    """A user."""

    id: int
    telegram_id: int
    username: str | None = None
    first_name: str | None = None
    language: str | None = None
    timezone: str | None = Field(default=None, description="None until the user has told it; UTC is assumed.")
    role: UserRole
    is_active: bool
    last_seen_at: AwareDatetime | None = None
