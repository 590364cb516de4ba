"""What `GET /health` answers, in every service."""

from typing import Literal

from pydantic import BaseModel, Field

HealthStatus = Literal["ok", "starting", "unhealthy"]


class HealthBody(BaseModel):
    """200 when `status` is `ok`, 503 otherwise."""

    service: str = Field(description="Who answers.", examples=["rest_service"])
    status: HealthStatus = Field(description="Whether it can do its work.", examples=["ok"])
    checks: dict[str, str] = Field(
        default_factory=dict,
        description="Each part: `ok`, or what is wrong.",
        examples=[{"database": "ok"}],
    )
    notes: dict[str, str] = Field(
        default_factory=dict,
        description="What does not stop the service and should be looked at.",
        examples=[{"calendar": "The calendar keys open none of the stored tokens."}],
    )
