import pytest
from pydantic import SecretStr, ValidationError

from rest_service.app.config import CredentialSettings, DatabaseSettings, Settings
from service_kit.settings import load

KEYS = {"ADMIN_API_KEY": "a", "SERVICE_API_KEY": "s"}
FERNET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in [*Settings.model_fields, *DatabaseSettings.model_fields]:
        monkeypatch.delenv(name.upper(), raising=False)


def with_environment(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_the_parts_make_the_address(monkeypatch):
    with_environment(
        monkeypatch, POSTGRES_HOST="db", POSTGRES_PASSWORD="p@ss:w/rd", POSTGRES_DB="sa", POSTGRES_USER="u"
    )
    url = DatabaseSettings().database_url
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://u:p%40ss%3Aw%2Frd@db:5432/sa"
    assert "p%40" not in str(url)


def test_the_whole_address_wins(monkeypatch):
    with_environment(
        monkeypatch,
        POSTGRES_PASSWORD="x",
        ASYNC_DATABASE_URL="postgresql+asyncpg://u:secret@elsewhere:6000/name",
    )
    assert DatabaseSettings().database_url.host == "elsewhere"
    assert DatabaseSettings().sync_database_url.drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    "address", ["nonsense-secret", "postgresql+asyncpg://u:secret@host:port/x", "mysql://u:secret@h/x"]
)
def test_a_wrong_address_is_refused_without_showing_it(monkeypatch, address):
    with_environment(monkeypatch, ASYNC_DATABASE_URL=address)
    with pytest.raises(SystemExit) as refusal:
        load(DatabaseSettings)
    assert "ASYNC_DATABASE_URL" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("keys", "reason"), [("x", "key 1 of 1"), (f"{FERNET},short", "key 2 of 2"), (" , ", "no key")]
)
def test_wrong_encryption_keys_are_refused(monkeypatch, keys, reason):
    with_environment(monkeypatch, POSTGRES_PASSWORD="p", CREDENTIALS_ENCRYPTION_KEYS=keys, **KEYS)
    with pytest.raises(SystemExit, match=reason):
        load(CredentialSettings)
    load(Settings)  # the API starts without the calendar


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(SystemExit) as refusal:
        load(Settings)
    for name in ("ADMIN_API_KEY", "SERVICE_API_KEY"):
        assert name in str(refusal.value)


def test_secrets_do_not_show_in_the_settings():
    settings = Settings(
        postgres_password=SecretStr("hidden1"),
        admin_api_key=SecretStr("hidden2"),
        service_api_key=SecretStr("hidden3"),
        credentials_encryption_keys=SecretStr(FERNET),
    )
    assert "hidden" not in repr(settings)
    assert FERNET not in repr(settings)


def test_an_error_does_not_show_a_fernet_key(monkeypatch):
    with_environment(monkeypatch, POSTGRES_PASSWORD="p", CREDENTIALS_ENCRYPTION_KEYS=f"{FERNET},zzz", **KEYS)
    with pytest.raises(ValidationError) as refusal:
        CredentialSettings()
    assert FERNET not in str(refusal.value.errors(include_input=False))
