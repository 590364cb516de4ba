"""Settings of google_calendar_service, from the process environment."""

import hashlib
import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from service_kit.settings import RedisSettings, RestClientSettings, ServiceSettings


def hash_key(key: str) -> str:
    """The hash by which keys are compared. A plain hash is enough, because keys are random."""
    return hashlib.sha256(key.encode()).hexdigest()


def _split_list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def is_plain_http(url: str) -> bool:
    """Whether what is sent to `url` can be read on the way."""
    return urlsplit(url).scheme == "http"


def _is_local(host: str) -> bool:
    """This machine, or a neighbour in a container network: a name without a dot."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def _require_web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL")
    return url


def _require_safe_endpoint(url: str) -> str:
    parts = urlsplit(_require_web_address(url))
    if parts.scheme == "http" and not _is_local(parts.hostname or ""):
        raise ValueError("must be https: secrets are sent there (http is for a stand-in on this machine)")
    return url


WebAddress = Annotated[str, AfterValidator(_require_web_address)]
Endpoint = Annotated[str, AfterValidator(_require_safe_endpoint)]


class GoogleSettings(ServiceSettings):
    """The OAuth client and where Google is."""

    google_client_id: str | None = Field(
        default=None, description="OAuth client of type 'Web application', from Google Cloud Console."
    )
    google_client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    google_redirect_uri: WebAddress = Field(
        default="http://127.0.0.1:8001/auth/callback",
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

    caller_key_hashes: str = Field(
        default="", description="SHA-256 (hex) of the keys that may call this service, separated by commas."
    )
    admin_api_key: SecretStr | None = Field(
        default=None, description="Opens this service too, where it is run without manage.py."
    )
    cors_origins: str = Field(
        default="", description="Origins of web pages that may call the APIs, separated by commas."
    )

    @property
    def allowed_origins(self) -> list[str]:
        """`cors_origins` as a list."""
        return _split_list(self.cors_origins)

    @property
    def key_hashes(self) -> list[str]:
        """Hashes of the keys that open this service: its callers', its own, and the admin's.

        manage.py gives hashes alone, so that this process's environment holds no other service's key.
        """
        held = [self.service_api_key, *([self.admin_api_key] if self.admin_api_key else [])]
        # hashes of all keys: each is compared with the hash of what the caller sends
        return [*_split_list(self.caller_key_hashes), *(hash_key(key.get_secret_value()) for key in held)]
