"""What all contract models share."""

from datetime import datetime
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Resource(BaseModel):
    """A row as rest_service answers it. Readers ignore fields they do not know yet."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    created_at: AwareDatetime = Field(description="When the row was made (UTC).")
    updated_at: AwareDatetime = Field(description="When the row last changed (UTC).")


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        msg = f"{value!r} is not an IANA time zone; write it like 'Europe/Berlin', 'Asia/Tokyo' or 'UTC'"
        raise ValueError(msg)
    return value


TimeZoneName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)]
"""An IANA zone name that this machine's tz database knows."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]

__all__ = ["AwareDatetime", "Body", "ModelName", "Name", "Resource", "TimeZoneName", "datetime"]
