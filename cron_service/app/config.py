"""Settings of cron_service, from the process environment."""

from pydantic import Field

from service_kit.settings import QueueSettings, RedisSettings, RestClientSettings, ServiceSettings


class Settings(ServiceSettings, RedisSettings, QueueSettings, RestClientSettings):
    """All that cron_service reads."""

    jobs_refresh_seconds: float = Field(
        default=60.0,
        gt=0,
        description="The jobs are read anew this often, besides whenever rest_service announces a change.",
    )
    max_retries: int = Field(
        default=3, ge=1, le=100, description="Tries of one refresh, one claim and one push to Redis."
    )
    retry_delay: float = Field(
        default=2.0,
        ge=0,
        description="Seconds between these tries at most; the first ones are closer together.",
    )
