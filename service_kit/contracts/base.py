"""What all contract models share."""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

READING: Final[Mapping[str, Any]] = {"extra": "ignore", "context": {"reading": True}}
"""Arguments of pydantic's `validate_json` for the answers of another service. It may be newer: unknown fields
and members are then no error. Requests are validated without these arguments."""


class Choice(StrEnum):
    """A closed set for whoever writes, an open one for whoever reads (`READING`).

    A member that the reader does not know equals none of those it knows, and keeps its text.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Self], handler: GetCoreSchemaHandler) -> CoreSchema:
        """The enum's own schema, and around it what reading tolerates."""
        return core_schema.with_info_wrap_validator_function(cls._parse, handler(source))

    @classmethod
    def _parse(cls, value: object, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Self:
        try:
            return known(value)  # type: ignore[no-any-return]  # the enum's schema gives a member
        except ValidationError:
            if isinstance(value, str) and info.context and info.context.get("reading"):
                return cls._unknown(value)
            raise

    @classmethod
    def _unknown(cls, value: str) -> Self:
        # past the enum's own constructor, which accepts known members only
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member


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
    def _refuse_nul(cls, value: Any) -> Any:  # noqa: ANN401 - whatever came in, pydantic judges what goes out
        if _has_nul(value):
            msg = "must not contain NUL characters; PostgreSQL cannot store them"
            raise ValueError(msg)
        return value


class Patch(Body):
    """The fields a `PATCH` may change: one not sent stays, and null empties the `clearable` ones.

    In Python each field may be None, which means "not sent". A request's null for a field that cannot be
    empty is refused, and the OpenAPI document does not offer it.
    """

    clearable: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as `_refuse_nul`
        if value is None and info.field_name not in cls.clearable:
            msg = "cannot be null; leave it out to keep it as it is"
            raise ValueError(msg)
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        """The document's view: no null where null is refused."""
        reference = handler(schema)
        for name, field in handler.resolve_ref_schema(reference).get("properties", {}).items():
            field.pop("default", None)
            if name not in cls.clearable:
                field.update(_without_null(field))
        return reference


def _without_null(field: JsonSchemaValue) -> JsonSchemaValue:
    """What a field may be beside null, merged into one schema."""
    kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}


class Resource(BaseModel):
    """A row as rest_service answers it. Readers ignore fields they do not know yet."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    created_at: AwareDatetime = Field(
        description="When the row was made (UTC).", examples=["2026-11-22T09:00:00Z"]
    )
    updated_at: AwareDatetime = Field(
        description="When the row last changed (UTC).", examples=["2026-11-22T09:00:00Z"]
    )


_NOT_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files of the tz database that stand for "not set" and for this machine's own zone."""


@cache
def zone_names() -> frozenset[str]:
    """The IANA zones that a user or a job can have."""
    # listing them walks the tz database on disk: about 60 ms
    return frozenset(available_timezones()) - _NOT_ZONES


def _check_zone(value: str) -> str:
    if value not in zone_names():
        msg = f"{value!r} is not an IANA time zone; write it like 'Europe/Berlin', 'Asia/Tokyo' or 'UTC'"
        raise ValueError(msg)
    return value


TimeZoneName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(_check_zone),
    Field(json_schema_extra={"format": "iana-time-zone"}),
]
"""An IANA zone name that this machine's tz database knows."""

NOT_BLANK = Field(json_schema_extra={"pattern": r"\S"})
"""For the OpenAPI document: blank text is refused, because pydantic strips it before it checks the length."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128), NOT_BLANK]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128), NOT_BLANK]


def _to_int(value: Any) -> Any:  # noqa: ANN401 - as `_refuse_nul`
    # JSON has one kind of number: 150.0 is as whole as 150; "150" and true are no numbers
    return int(value) if isinstance(value, float) and value.is_integer() else value


AS_WHOLE = BeforeValidator(_to_int)
"""Must follow the bounds of a strict `int`: bounds after it hold, but are missing in the OpenAPI document."""

RowId = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1), AS_WHOLE]
"""A number that a row can have as its id."""

Count = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), AS_WHOLE]
"""How many there are of something."""

Flag = Annotated[bool, Strict()]
"""true or false; "yes" and 1 are refused, so that the stored value is the written one."""


_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_WITHOUT_PLUS = re.compile(r"(.+:\d\d(?:\.\d+)?) (\d\d:?\d\d)")


def _check_time_text(value: Any) -> Any:  # noqa: ANN401 - as `_refuse_nul`
    # pydantic would take numbers for seconds or milliseconds since 1970, whichever seems likelier
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.match(value.strip())):
        msg = "must be a time like 2026-12-24T18:00:00+01:00"
        raise ValueError(msg)
    # in an address `+` means a blank, which is easily forgotten
    without_plus = _WITHOUT_PLUS.fullmatch(value) if isinstance(value, str) else None
    return "+".join(without_plus.groups()) if without_plus else value


def _check_year(value: datetime) -> datetime:
    # the calendar's ends are infinite for the database driver, and have no local time in half of the zones
    if not MINYEAR < value.year < MAXYEAR:
        msg = f"must lie between the years {MINYEAR + 1} and {MAXYEAR - 1}"
        raise ValueError(msg)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_check_time_text), AfterValidator(_check_year)]
"""A time with its offset from UTC, written as ISO 8601."""

__all__ = [
    "AS_WHOLE", "NOT_BLANK", "READING", "AwareDatetime", "Body", "Choice", "Count", "Flag", "ModelName",
    "Moment", "Name", "Patch", "Resource", "RowId", "TimeZoneName", "datetime", "zone_names",
]  # fmt: skip
