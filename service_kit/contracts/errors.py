"""The one shape in which rest_service and google_calendar_service answer an error."""

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One offending field."""

    field: str = Field(
        description="Where, as a path: `name`, `settings.temperature`, `query.limit`.", examples=["name"]
    )
    message: str = Field(
        description="What is wrong with it and what to write instead.", examples=["Required"]
    )


class ErrorBody(BaseModel):
    """Every answer of 400 and above."""

    code: str = Field(
        description="Stable, for programs: `not_found`, `conflict`, `invalid`, …", examples=["invalid"]
    )
    message: str = Field(
        description="A sentence for a person: what happened and what to do.",
        examples=["name is required."],
    )
    field: str | None = Field(
        default=None, description="The offending field, where there is one.", examples=["name"]
    )
    details: list[FieldError] = Field(default_factory=list, description="All offending fields.")
    incident_id: str | None = Field(
        default=None, description="To be found in the service's log.", examples=[None]
    )
