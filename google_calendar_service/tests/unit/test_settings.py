import pytest
from pydantic import ValidationError

from google_calendar_service.src.config.settings import Settings, is_plain_http


def settings(**fields: str) -> Settings:
    return Settings.model_validate({"service_api_key": "s"} | fields)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8010/token", "http://[::1]/token", "http://localhost/token", "http://sandbox:8010/t"],
)
def test_plain_http_is_for_this_machine_and_its_containers(url):
    assert is_plain_http(settings(google_token_url=url).google_token_url)


@pytest.mark.parametrize(
    "url", ["http://example.com/token", "http://10.0.0.1/token", "ftp://localhost/token", "https://", "token"]
)
def test_other_addresses_for_secrets_are_refused(url):
    with pytest.raises(ValidationError, match="http"):
        settings(google_token_url=url)


def test_googles_own_addresses_are_the_defaults(monkeypatch):
    monkeypatch.delenv("GOOGLE_TOKEN_URL", raising=False)
    assert settings().google_token_url == "https://oauth2.googleapis.com/token"


def test_lists_are_separated_by_commas():
    assert settings(cors_origins="https://a, https://b,").allowed_origins == ["https://a", "https://b"]
    assert settings().allowed_origins == []


def test_the_admins_key_is_optional():
    assert settings().api_keys == ["s"]
    assert settings(admin_api_key="a").api_keys == ["s", "a"]


def test_the_services_own_key_the_admins_and_the_callers_open():
    keys = settings(admin_api_key="a", caller_api_keys="s, assistant,, bot ").api_keys
    assert keys == ["s", "a", "s", "assistant", "bot"]
