"""Addresses behind linked words, with Telegram's offsets in UTF-16 code units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tg_bot.src.utils.addresses import add_addresses


def link(offset, length, url="https://e.com"):
    return {"type": "text_link", "offset": offset, "length": length, "url": url}


@pytest.mark.parametrize(
    ("text", "entities", "expected"),
    [
        ("see here", [link(4, 4)], "see here (https://e.com)"),
        ("here it is", [link(0, 4)], "here (https://e.com) it is"),
        ("😀👍🏽 here!", [link(7, 4)], "😀👍🏽 here (https://e.com)!"),
        ("one two", [link(0, 3, "http://1"), link(4, 3, "http://2")], "one (http://1) two (http://2)"),
        ("one two", [link(4, 3, "http://2"), link(0, 3, "http://1")], "one (http://1) two (http://2)"),
        ("https://e.com", [link(0, 13)], "https://e.com"),
        ("plain", [{"type": "bold", "offset": 0, "length": 5}], "plain"),
        ("plain", [], "plain"),
    ],
)
def test_the_address_stands_behind_its_words(text, entities, expected):
    assert add_addresses(text, entities) == expected


@pytest.mark.parametrize(
    "entity",
    [
        None,
        "text_link",
        {},
        {"type": "text_link"},
        link(0, 99),
        link(-1, 2),
        link(2, 0),
        link(2, -1),
        link("0", 2),
        link(0, None),
        link(0, 2, None),
        link(0, 2, 5),
        link(1, 2),  # inside of the emoji
        link(0, 1),
        link(2**60, 2),
        {"type": "a_kind_of_next_year", "offset": 0, "length": 2},
    ],
)
def test_what_does_not_fit_the_text_is_passed_over(entity):
    assert add_addresses("😀 ok", [entity]) == "😀 ok"


@given(st.text(), st.lists(st.builds(link, st.integers(-2, 40), st.integers(-2, 40))))
def test_nothing_of_the_text_is_lost(text, entities):
    assert add_addresses(text, entities).replace(" (https://e.com)", "") == text.replace(
        " (https://e.com)", ""
    )
