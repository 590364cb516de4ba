import pytest
from pydantic import ValidationError

from google_calendar_service.src.config.settings import Settings, hash_key, is_plain_http


def settings(**fields: str) -> Settings:
    return Settings.model_validate({"service_api_key": "s"} | fields)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8010/token", "http://[::1]/token", "http://localhost/token", "http://sandbox:8010/t"],
)
def test_plain_http_is_for_this_machine_and_its_containers(url):
    assert is_plain_http(settings(google_token_url=url).google_token_url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/token",
        "http://10.0.0.1/token",
        "ftp://localhost/token",
        "https://",
        "token",
        "http://[",
    ],
)
def test_other_addresses_for_secrets_are_refused(url):
    with pytest.raises(ValidationError, match="http"):
        settings(google_token_url=url)


@pytest.mark.parametrize(
    "url", ["http://[", "localhost:8001/auth/callback", "ftp://localhost/", "https://", "x"]
)
def test_no_start_with_a_redirect_that_no_browser_follows(url):
    with pytest.raises(ValidationError, match="must be an http"):
        settings(google_redirect_uri=url)
    assert settings(google_redirect_uri="https://calendar.example/callback").google_redirect_uri


def test_googles_own_addresses_are_the_defaults(monkeypatch):
    monkeypatch.delenv("GOOGLE_TOKEN_URL", raising=False)
    assert settings().google_token_url == "https://oauth2.googleapis.com/token"


def test_lists_are_separated_by_commas():
    assert settings(cors_origins="https://a, https://b,").allowed_origins == ["https://a", "https://b"]
    assert settings().allowed_origins == []


def test_callers_are_known_by_the_hashes_of_their_keys():
    hashes = settings(caller_key_hashes=f"{hash_key('admin')},, {hash_key('bot')} ").key_hashes
    assert hashes == [hash_key("admin"), hash_key("bot"), hash_key("s")]
    assert settings().key_hashes == [hash_key("s")]
    assert settings(admin_api_key="a").key_hashes == [hash_key("s"), hash_key("a")]


def test_the_default_redirect_is_the_address_that_the_suite_uses():
    assert settings().google_redirect_uri == "http://127.0.0.1:8001/auth/callback"
