import pytest
from pydantic import SecretStr, ValidationError

from tg_bot.src.config.settings import Settings


def settings(token: str) -> Settings:
    return Settings(
        telegram_token=SecretStr(token),
        service_api_key=SecretStr("key"),
        owner_code=SecretStr("code"),
        redis_password=SecretStr("password"),
    )


@pytest.mark.parametrize("token", ["7:the-token", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "test"])
def test_a_token_is_taken_as_it_is(token):
    assert settings(token).telegram_token.get_secret_value() == token


@pytest.mark.parametrize(
    "token",
    [
        "my token: 7:abc",
        "7:abc;",
        "7:abc/../x",
        "7:abc?x",
        "7:abc#x",
        "7:аbc",  # a Cyrillic letter
        "7:abc\u200b",
        "“7:abc”",
        "7:abc%",
        "bot7:abc\n",
    ],
)
def test_what_is_no_token_is_refused_without_being_shown(token):
    with pytest.raises(ValidationError, match="copy it anew") as refused:
        settings(token)
    assert token not in str(refused.value)
