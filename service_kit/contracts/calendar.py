"""Google Calendar credentials (`/api/calendar`).

Two shapes, so that a token cannot slip into a list: `CalendarRead` says whether a user is linked,
`CalendarTokens` is what only the services' key may read and write.
"""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from service_kit.contracts.base import NOT_BLANK, Body, Choice, Moment, Resource

Token = Annotated[str, StringConstraints(min_length=1, max_length=8192), NOT_BLANK]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=256), NOT_BLANK]


class CalendarStatus(Choice):
    """Whether the grant still holds."""

    LINKED = "linked"
    REVOKED = "revoked"
    """Google refused the refresh token: the user must link again."""


_ACCESS = "What Google takes for about an hour."
_REFRESH = "What a new access token is had for."
_EXPIRES = "When the access token ends (UTC)."
_SCOPES = "What was granted."
_STATUS = "`revoked` where Google refused the refresh token: the user must link again."
_USER_ID = "Whose calendar it is."
_TIME = "2026-11-22T10:00:00Z"
_SCOPE = "https://www.googleapis.com/auth/calendar.events"


class CalendarTokensWrite(Body):
    """The outcome of a consent or of a refresh, whole."""

    access_token: Token = Field(repr=False, description=_ACCESS, examples=["ya29.example"])
    refresh_token: Token | None = Field(
        default=None,
        repr=False,
        description=f"{_REFRESH} Not sent or null: the one already stored is kept.",
        examples=["1//example"],
    )
    expires_at: Moment | None = Field(default=None, description=_EXPIRES, examples=[_TIME])
    scopes: list[Scope] = Field(max_length=32, description=_SCOPES, examples=[[_SCOPE]])


class CalendarUpdate(Body):
    """What `PATCH` may change: the status."""

    status: CalendarStatus = Field(description=_STATUS, examples=["revoked"])


class CalendarRead(Resource):
    """Whether and how a user is linked; no token."""

    user_id: int = Field(description=_USER_ID, examples=[1])
    status: CalendarStatus = Field(description=_STATUS, examples=["linked"])
    scopes: list[str] = Field(description=_SCOPES, examples=[[_SCOPE]])
    expires_at: AwareDatetime | None = Field(default=None, description=_EXPIRES, examples=[_TIME])
    has_refresh_token: bool = Field(description="Whether access can be renewed.", examples=[True])


class CalendarTokens(BaseModel):
    """The tokens in clear; for the services alone."""

    user_id: int = Field(description=_USER_ID, examples=[1])
    access_token: str = Field(repr=False, description=_ACCESS, examples=["ya29.example"])
    refresh_token: str | None = Field(default=None, repr=False, description=_REFRESH, examples=["1//example"])
    expires_at: AwareDatetime | None = Field(default=None, description=_EXPIRES, examples=[_TIME])
    scopes: list[str] = Field(description=_SCOPES, examples=[[_SCOPE]])
    status: CalendarStatus = Field(description=_STATUS, examples=["linked"])
