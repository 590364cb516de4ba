import pytest
from pydantic import ValidationError

from assistant.src.config.settings import Settings

NEEDED = {"service_api_key": "key"}


def test_openai_needs_a_key():
    with pytest.raises(ValidationError, match="OPENAI_API_KEY"):
        Settings.model_validate(NEEDED)


@pytest.mark.parametrize(
    "given", [{"openai_api_key": "sk-1"}, {"openai_base_url": "http://127.0.0.1:11434/v1"}], ids=str
)
def test_a_key_or_a_server_is_enough(given, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert Settings.model_validate(NEEDED | given).openai_default_model
    assert "sk-1" not in repr(Settings.model_validate(NEEDED | given))
