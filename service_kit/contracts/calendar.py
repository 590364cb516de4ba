"""Google Calendar credentials (`/api/calendar`).

Two shapes, so that a token cannot slip into a list: `CalendarRead` says whether a user is linked,
`CalendarTokens` is what only the services' key may read and write.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from service_kit.contracts.base import Body, Resource

Token = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class CalendarStatus(StrEnum):
    """Whether the grant still holds."""

    LINKED = "linked"
    REVOKED = "revoked"
    """Google refused the refresh token: the user must link again."""


class CalendarTokensWrite(Body):
    """The outcome of a consent or of a refresh, whole."""

    access_token: Token = Field(repr=False)
    refresh_token: Token | None = Field(
        default=None, repr=False, description="Not sent or null: the one already stored is kept."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="When the access token ends (UTC).")
    scopes: list[Scope] = Field(max_length=32, description="What was granted.")


class CalendarUpdate(Body):
    """What `PATCH` may change: the status."""

    status: CalendarStatus


class CalendarRead(Resource):
    """Whether and how a user is linked; no token."""

    user_id: int
    status: CalendarStatus
    scopes: list[str]
    expires_at: AwareDatetime | None = None
    has_refresh_token: bool


class CalendarTokens(BaseModel):
    """The tokens in clear; for the services alone."""

    user_id: int
    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_at: AwareDatetime | None = None
    scopes: list[str]
    status: CalendarStatus
