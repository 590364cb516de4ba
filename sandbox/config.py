"""Settings of the sandbox."""

from pathlib import Path

from pydantic import Field, SecretStr

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """From the environment."""

    sandbox_state: Path | None = Field(
        default=None,
        description="A SQLite file that keeps people and messages over a restart; none: memory only.",
    )
    sandbox_secret: SecretStr | None = Field(
        default=None,
        description="Opens the chat page and the control, as part of the link; none: they are open to all.",
    )
    sandbox_telegram_token: SecretStr | None = Field(
        default=None, description="The only token that the Bot API takes; none: any."
    )
    sandbox_model_latency: float = Field(
        default=0.0, ge=0, description="Seconds that the scripted model takes for an answer."
    )
