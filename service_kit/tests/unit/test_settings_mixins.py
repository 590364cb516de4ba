"""A service's `Settings` reads the environment in one way, whatever mixins it has and in which order."""

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from service_kit.settings import QueueSettings, RedisSettings, ServiceSettings


class First(ServiceSettings, RedisSettings, QueueSettings):
    pass


class Last(QueueSettings, RedisSettings, ServiceSettings):
    pass


@pytest.mark.parametrize("settings", [First, Last])
def test_an_empty_variable_is_not_set(settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch):
    for name in ("LOG_LEVEL", "DRAIN_TIMEOUT", "REDIS_DB", "INPUT_QUEUE"):
        monkeypatch.setenv(name, "")
    assert settings() == settings(log_level="INFO", drain_timeout=30.0, redis_db=0)


@pytest.mark.parametrize("settings", [First, Last])
def test_settings_do_not_change(settings: type[BaseSettings]):
    with pytest.raises(ValidationError, match="frozen"):
        settings().redis_db = 1  # type: ignore[attr-defined]  # the mixin's field
