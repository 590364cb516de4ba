"""What all contract models share."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(item) for pair in value.items() for item in pair)
        case list():
            return any(_has_nul(item) for item in value)
    return False


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:  # noqa: ANN401 - whatever came in, pydantic judges what goes out
        if _has_nul(value):
            msg = "must not contain NUL characters; PostgreSQL cannot store them"
            raise ValueError(msg)
        return value


class Resource(BaseModel):
    """A row as rest_service answers it. Readers ignore fields they do not know yet."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    created_at: AwareDatetime = Field(description="When the row was made (UTC).")
    updated_at: AwareDatetime = Field(description="When the row last changed (UTC).")


@cache
def _zones() -> frozenset[str]:
    # listing them walks the tz database on disk: about 60 ms
    return frozenset(available_timezones())


def _known_zone(value: str) -> str:
    if value not in _zones():
        msg = f"{value!r} is not an IANA time zone; write it like 'Europe/Berlin', 'Asia/Tokyo' or 'UTC'"
        raise ValueError(msg)
    return value


TimeZoneName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)]
"""An IANA zone name that this machine's tz database knows."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]

RowId = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A number that a row can have as its id."""

__all__ = ["AwareDatetime", "Body", "ModelName", "Name", "Resource", "RowId", "TimeZoneName", "datetime"]
