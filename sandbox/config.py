"""Settings of the sandbox."""

from pathlib import Path

from pydantic import Field

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """From the environment."""

    sandbox_state: Path | None = Field(
        default=None,
        description="A SQLite file that keeps people and messages over a restart; none: memory only.",
    )
    sandbox_model_latency: float = Field(
        default=0.0, ge=0, description="Seconds that the scripted model takes for an answer."
    )
