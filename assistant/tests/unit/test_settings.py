import pytest
from pydantic import ValidationError

from assistant.src.config.settings import Settings

NEEDED = {"service_api_key": "key"}


@pytest.mark.parametrize("name", ["openai_base_url", "ollama_base_url", "lmstudio_base_url", "vllm_base_url"])
@pytest.mark.parametrize(
    "url", ["127.0.0.1:11434/v1", "localhost:11434/v1", "http://[bad/v1", "http://h:port/v1"]
)
def test_an_address_that_is_none_is_named_at_the_start(name, url):
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate(NEEDED | {"openai_api_key": "sk-1", name: url})
    assert [error["loc"] for error in raised.value.errors()] == [(name,)]


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
