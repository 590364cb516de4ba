"""Commands and texts, without anything around them."""

import string
from dataclasses import asdict

import pytest

from tg_bot.src.client.models import TelegramUser
from tg_bot.src.handlers.commands import parse_command
from tg_bot.src.handlers.profile import language_of, username_of
from tg_bot.src.utils.texts import ENGLISH, RUSSIAN, menu, texts_for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/start", ("start", "")),
        ("/Start@My_Bot  abc ", ("start", "abc")),
        ("/new\nplease", ("new", "please")),
        ("/etc/hosts is what?", None),
        ("and /start", None),
        ("/", None),
        ("", None),
    ],
)
def test_parse_command(text, expected):
    assert parse_command(text) == expected


@pytest.mark.parametrize(
    ("languages", "expected"),
    [(("ru",), RUSSIAN), (("ru-RU",), RUSSIAN), ((None, "ru"), RUSSIAN), (("de",), ENGLISH), ((), ENGLISH)],
)
def test_texts_for(languages, expected):
    assert texts_for(*languages) is expected


def test_both_languages_say_the_same_things():
    def holes(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english, russian = asdict(ENGLISH), asdict(RUSSIAN)
    assert {name: holes(text) for name, text in english.items()} == {
        name: holes(text) for name, text in russian.items()
    }
    assert all(english[name] != russian[name] for name in english)


def test_the_menu_has_a_line_for_each_command():
    assert [one.command for one in menu(RUSSIAN)] == ["start", "help", "new", "timezone", "status"]
    assert all(1 <= len(one.description) <= 256 for one in menu(ENGLISH))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("en", "en"), ("pt-br", "pt-br"), ("<script>", None), (None, None), ("x" * 40, None)],
)
def test_a_language_that_is_no_tag_is_not_stored(tag, expected):
    assert language_of(TelegramUser(id=1, language_code=tag)) == expected


def test_an_empty_username_is_none():
    assert username_of(TelegramUser(id=1, username="")) is None
