"""The service's settings; each field is the environment variable of its name in capitals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from service_kit.settings import RedisSettings, ServiceSettings

ASYNC_DRIVER = "postgresql+asyncpg"
SYNC_DRIVER = "postgresql+psycopg2"


class DatabaseSettings(ServiceSettings):
    """Where PostgreSQL is and how many connections are kept; all that migrations need."""

    postgres_host: str = "postgres"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    postgres_user: str = "smart_assistant"
    postgres_password: SecretStr | None = None
    postgres_db: str = "smart_assistant"
    async_database_url: SecretStr | None = Field(
        default=None, description="The whole address, postgresql+asyncpg://…; wins over POSTGRES_*."
    )
    db_echo: bool = Field(default=False, description="Log every SQL statement.")
    db_pool_size: int = Field(default=20, ge=1, le=500, description="Connections kept open.")
    db_max_overflow: int = Field(default=0, ge=0, le=500, description="Further ones under load.")
    slow_query_ms: int = Field(
        default=200, ge=0, description="Statements that take longer are logged, without values; 0 logs none."
    )
    db_wait_seconds: float = Field(
        default=60.0, ge=0, description="How long a start waits for the database to answer."
    )
    default_assistants_file: Path | None = Field(
        default=None, description="JSON with the rows of a first start; none means the ones that come along."
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.async_database_url is None and self.postgres_password is None:
            msg = "set POSTGRES_PASSWORD (with POSTGRES_HOST, …) or ASYNC_DATABASE_URL"
            raise ValueError(msg)
        try:
            url = self.database_url
        except (ArgumentError, ValueError):
            # from None: the original's text holds the address, and with it the password
            msg = (
                "ASYNC_DATABASE_URL is not an address like postgresql+asyncpg://user:password@host:5432/name"
            )
            raise ValueError(msg) from None
        if url.get_backend_name() != "postgresql":
            msg = f"ASYNC_DATABASE_URL is of {url.get_backend_name()!r}; only PostgreSQL is supported"
            raise ValueError(msg)
        return self

    @property
    def database_url(self) -> URL:
        """For asyncpg. `str()` of it hides the password."""
        if self.async_database_url is not None:
            url = make_url(self.async_database_url.get_secret_value())
            # people write postgresql://, and other programs give postgres drivers of their own
            return url.set(drivername=ASYNC_DRIVER) if url.get_backend_name() == "postgresql" else url
        assert self.postgres_password is not None  # noqa: S101 - the validator has seen to it
        return URL.create(
            ASYNC_DRIVER,
            username=self.postgres_user,
            password=self.postgres_password.get_secret_value(),
            host=self.postgres_host,
            port=self.postgres_port,
            database=self.postgres_db,
        )

    @property
    def sync_database_url(self) -> URL:
        """For psycopg2, with which migrations run."""
        return self.database_url.set(drivername=SYNC_DRIVER)


@dataclass(frozen=True, slots=True)
class ApiRole:
    """The role that the API works as."""

    name: str
    password: SecretStr


class MigrationSettings(DatabaseSettings):
    """What migrations need on top: the role that the API works as."""

    postgres_api_user: str = "smart_assistant_api"
    postgres_api_password: SecretStr | None = Field(
        default=None, description="None: the API works as the owner of the tables, as with one whole address."
    )

    @property
    def api_role(self) -> ApiRole | None:
        """The role to make; None where the API works as the one that migrates."""
        # a whole address names one login, so there is no second one to make
        one_role = self.async_database_url is not None or self.postgres_api_user == self.postgres_user
        if one_role or self.postgres_api_password is None:
            return None
        return ApiRole(self.postgres_api_user, self.postgres_api_password)


class CredentialSettings(DatabaseSettings):
    """What the rotation of the keys needs on top."""

    credentials_encryption_keys: SecretStr = Field(
        description="Fernet keys, comma separated: the first encrypts, all decrypt."
    )

    @field_validator("credentials_encryption_keys")
    @classmethod
    def _fernet_keys(cls, value: SecretStr) -> SecretStr:
        parse_fernet_keys(value)
        return value


class Settings(DatabaseSettings, RedisSettings):
    """What the API needs on top."""

    # looked at when it is needed: without the calendar the rest of the suite goes on
    credentials_encryption_keys: SecretStr | None = Field(
        default=None, description="Fernet keys, comma separated: the first encrypts, all decrypt."
    )
    admin_api_key: SecretStr = Field(
        min_length=1, description="The admin's key; opens everything but tokens."
    )
    service_api_key: SecretStr = Field(
        min_length=1, description="The key that all services may show; no tokens where the next ones are set."
    )
    assistant_api_key: SecretStr | None = Field(default=None, description="The assistant's own key.")
    tg_bot_api_key: SecretStr | None = Field(default=None, description="The bot's own key.")
    cron_service_api_key: SecretStr | None = Field(default=None, description="cron_service's own key.")
    calendar_api_key: SecretStr | None = Field(
        default=None, description="google_calendar_service's own key; where set, it alone opens tokens."
    )
    firing_retention_days: int = Field(
        default=90, ge=0, le=36_500, description="Days after which an ended firing is removed; 0 keeps all."
    )
    usage_retention_days: int = Field(
        default=0, ge=0, le=36_500, description="Days after which a usage record is removed; 0 keeps all."
    )
    cors_origins: str = Field(
        default="", description="Origins of web pages that may call the API, comma separated."
    )


def parse_fernet_keys(keys: SecretStr) -> list[Fernet]:
    """The keys in `keys`; raises ValueError, which names the wrong one by its number and shows none."""
    items = split(keys.get_secret_value())
    if not items:
        msg = "there is no key; make one with ./manage.py start or `openssl rand -base64 32 | tr +/ -_`"
        raise ValueError(msg)
    parsed = []
    for number, key in enumerate(items, start=1):
        try:
            parsed.append(Fernet(key))
        except ValueError:
            msg = f"key {number} of {len(items)} is not a Fernet key (32 bytes in URL-safe base64)"
            raise ValueError(msg) from None
    return parsed


def split(text: str) -> list[str]:
    """The items of a comma separated setting."""
    return [item.strip() for item in text.split(",") if item.strip()]
