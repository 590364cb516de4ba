"""Settings of google_calendar_service, from the process environment."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from service_kit.settings import RedisSettings, RestClientSettings, ServiceSettings


def is_plain_http(url: str) -> bool:
    """Whether what is sent to `url` can be read on the way."""
    return urlsplit(url).scheme == "http"


def _stays_here(host: str) -> bool:
    """This machine, or a neighbour in a container network: a name without a dot."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def _safe_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL")
    if parts.scheme == "http" and not _stays_here(parts.hostname):
        raise ValueError("must be https: secrets are sent there (http is for a stand-in on this machine)")
    return url


Endpoint = Annotated[str, AfterValidator(_safe_endpoint)]


class GoogleSettings(ServiceSettings):
    """The OAuth client and where Google is."""

    google_client_id: str | None = Field(
        default=None, description="OAuth client of type 'Web application', from Google Cloud Console."
    )
    google_client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    google_redirect_uri: str = Field(
        default="http://localhost:8001/auth/callback",
        description="Where the browser comes back to; registered with the OAuth client, letter by letter.",
    )
    google_auth_url: Endpoint = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth", description="Google's consent page."
    )
    google_token_url: Endpoint = Field(
        default="https://oauth2.googleapis.com/token", description="Where codes become tokens."
    )


class Settings(GoogleSettings, RedisSettings, RestClientSettings):
    """All that google_calendar_service reads."""

    admin_api_key: SecretStr | None = Field(default=None, description="The admin's key; it opens here too.")
    caller_api_keys: SecretStr = Field(
        default=SecretStr(""), description="Keys of services that may call this one, separated by commas."
    )
    cors_origins: str = Field(
        default="", description="Origins of web pages that may call the APIs, separated by commas."
    )

    @property
    def allowed_origins(self) -> list[str]:
        """`cors_origins` as a list."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def api_keys(self) -> list[str]:
        """The keys that open this service."""
        keys = (self.service_api_key, self.admin_api_key)
        callers = self.caller_api_keys.get_secret_value().split(",")
        return [
            *(key.get_secret_value() for key in keys if key is not None),
            *(caller.strip() for caller in callers if caller.strip()),
        ]
