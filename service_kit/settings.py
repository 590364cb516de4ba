"""Settings come from the process environment alone; `.env` is read by manage.py and compose.

Each service's `Settings` inherits the mixins it needs. The environment variable of a field is its
name in capitals. An empty variable counts as not set.
"""

import socket
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service_kit.contracts.messages import QUEUE_TO_SECRETARY, QUEUE_TO_TELEGRAM

S = TypeVar("S", bound=BaseSettings)
_IN_CAPITALS = BeforeValidator(lambda value: value.strip().upper() if isinstance(value, str) else value)


def load(settings: type[S]) -> S:
    """The settings of this process.

    Raises:
        SystemExit: a variable is missing or wrong; the message names each one, without its value.
    """
    try:
        return settings()
    except ValidationError as exc:
        problems = "\n".join(
            f"  {'.'.join(map(str, error['loc'])).upper() or 'settings'}: {error['msg']}"
            for error in exc.errors(include_input=False, include_url=False)
        )
        # `from None`: the original error shows the values, secrets among them
        raise SystemExit(f"The environment is not complete; set these in .env:\n{problems}") from None


class EnvironmentSettings(BaseSettings):
    """How the environment is read. Every mixin inherits it: of several bases, the last one's way counts."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)


class ServiceSettings(EnvironmentSettings):
    """What every service has."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _IN_CAPITALS] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, JSON otherwise."
    )
    http_host: str = Field(default="127.0.0.1", description="Where the service's own HTTP port listens.")
    http_port: int = Field(default=0, ge=0, le=65535, description="Port of its API and health page.")
    allowed_hosts: str = Field(
        default="",
        description="Names, comma separated, under which the HTTP ports answer beside localhost and the "
        "services' own.",
    )
    service_slot: str = Field(
        default_factory=socket.gethostname,
        description="A name that only one living process of this service has; a restarted one takes over "
        "what its predecessor held.",
    )
    drain_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds for running work to end at a stop; below the runtime's grace time.",
    )


class RedisSettings(EnvironmentSettings):
    """Where Redis is."""

    redis_host: str = "redis"
    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_db: int = Field(default=0, ge=0)
    redis_user: str | None = Field(default=None, description="None: Redis' own user `default`.")
    redis_password: SecretStr | None = None

    @property
    def redis_url(self) -> SecretStr:
        """`redis://…`; a secret, for it holds the password."""
        password = self.redis_password.get_secret_value() if self.redis_password else ""
        user = quote(self.redis_user or "", safe="")
        login = f"{user}:{quote(password, safe='')}@" if password else ""
        return SecretStr(f"redis://{login}{self.redis_host}:{self.redis_port}/{self.redis_db}")


class QueueSettings(EnvironmentSettings):
    """The names of the two queues."""

    input_queue: str = Field(default=QUEUE_TO_SECRETARY, description="From the bot to the assistant.")
    assistant_output_queue: str = Field(default=QUEUE_TO_TELEGRAM, description="To the bot.")


class RestClientSettings(EnvironmentSettings):
    """How a service reaches rest_service."""

    rest_service_url: str = "http://rest_service:8000"
    service_api_key: SecretStr = Field(description="The key the services show each other.")
