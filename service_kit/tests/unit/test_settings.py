import socket

import pytest
from pydantic import SecretStr
from redis.connection import parse_url

from service_kit.settings import (
    QueueSettings,
    RedisSettings,
    RestClientSettings,
    ServiceSettings,
    load,
)


class Settings(ServiceSettings, RedisSettings, QueueSettings, RestClientSettings):
    pass


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_environment_alone_decides(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\nSERVICE_API_KEY=from-the-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_API_KEY", "from-the-environment")
    settings = load(Settings)
    assert settings.service_api_key.get_secret_value() == "from-the-environment"
    assert settings.log_level == "INFO"


@pytest.mark.parametrize("level", ["debug", "Debug", " DEBUG "])
def test_a_level_of_logs_is_understood_in_any_case(monkeypatch, level):
    monkeypatch.setenv("LOG_LEVEL", level)
    assert ServiceSettings().log_level == "DEBUG"


def test_the_slot_is_the_hosts_name_unless_told(monkeypatch):
    assert ServiceSettings().service_slot == socket.gethostname()
    monkeypatch.setenv("SERVICE_SLOT", "assistant-2")
    assert ServiceSettings().service_slot == "assistant-2"


@pytest.mark.parametrize("password", ["plain", "p@ss:w/rd#?", "пароль", "100%"])
def test_the_address_of_redis_carries_any_password(password):
    settings = RedisSettings(
        redis_host="cache", redis_port=6380, redis_db=3, redis_password=SecretStr(password)
    )
    parsed = parse_url(settings.redis_url.get_secret_value())
    assert (parsed["host"], parsed["port"], parsed["db"]) == ("cache", 6380, 3)
    assert parsed["password"] == password


def test_without_a_password_there_is_no_login():
    assert RedisSettings().redis_url.get_secret_value() == "redis://redis:6379/0"


def test_secrets_do_not_show_in_what_is_printed(monkeypatch):
    monkeypatch.setenv("SERVICE_API_KEY", "the-key")
    monkeypatch.setenv("REDIS_PASSWORD", "the-password")
    settings = load(Settings)
    shown = f"{settings!r} {settings} {settings.redis_url!r} {settings.model_dump_json()}"
    assert "the-key" not in shown
    assert "the-password" not in shown


def test_what_is_missing_or_wrong_is_named_all_at_once_without_its_value(monkeypatch):
    monkeypatch.setenv("REDIS_PORT", "hunter2")
    monkeypatch.setenv("DRAIN_TIMEOUT", "0")
    with pytest.raises(SystemExit) as refusal:
        load(Settings)
    message = str(refusal.value)
    assert all(name in message for name in ("SERVICE_API_KEY", "REDIS_PORT", "DRAIN_TIMEOUT", ".env"))
    assert "hunter2" not in message
