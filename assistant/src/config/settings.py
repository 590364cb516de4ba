"""The service's settings; each field is the environment variable of the same name in capitals."""

from pydantic import Field

from service_kit.settings import QueueSettings, RedisSettings, RestClientSettings, ServiceSettings

from .providers import ProviderSettings


class Settings(ServiceSettings, RedisSettings, QueueSettings, RestClientSettings, ProviderSettings):
    """All settings of assistant."""

    message_timeout: float = Field(
        default=90.0,
        gt=0,
        le=600,
        description="Seconds for one message; after them the user gets a friendly sentence.",
    )
    message_longest_wait: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds that a message waits for rest_service or Redis before its user is told.",
    )
    assistant_concurrency: int = Field(
        default=1024, ge=1, le=4096, description="Messages of different users served at once."
    )
    stream_replies: bool = Field(
        default=False, description="Publish replies while they grow; the bot does not show them yet."
    )
    tool_timeout: float = Field(default=20.0, gt=0, description="Seconds for one call of a tool.")
    tool_output_limit: int = Field(
        default=16_000, ge=200, description="Characters of a tool's result that the model gets."
    )
    max_tool_rounds: int = Field(
        default=8, ge=1, le=50, description="Rounds of tool calls before the last answer without tools."
    )
    max_assistant_depth: int = Field(
        default=4, ge=0, le=16, description="How deep sub-assistants may ask sub-assistants; 0 forbids them."
    )

    history_tokens: int = Field(
        default=16_000,
        ge=256,
        description="Tokens of a conversation that stay as they are; what is older becomes a summary.",
    )
    history_retention_days: float = Field(
        default=30.0, gt=0, description="Days after which an unused conversation is forgotten."
    )

    weather_api_url: str = Field(
        default="https://api.open-meteo.com", description="Where Open-Meteo tells the weather."
    )
    weather_geocoding_url: str = Field(
        default="https://geocoding-api.open-meteo.com", description="Where Open-Meteo finds places by name."
    )
