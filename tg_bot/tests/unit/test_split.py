"""Splitting: nothing lost, nothing too long, code fences balanced."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tg_bot.src.utils.split import MESSAGE_LIMIT, split_markdown, utf16_length

LIMIT = 256

words = st.text(st.sampled_from("abcдеё😀🇩🇪 .,*_"), min_size=1, max_size=90)
long_words = st.text(st.sampled_from("ab😀"), min_size=300, max_size=700)
code = st.lists(words.filter(lambda line: "`" not in line), min_size=1, max_size=40).map(
    lambda lines: "```python\n" + "\n".join(lines) + "\n```"
)
texts = st.lists(st.one_of(words, words, code, long_words), min_size=1, max_size=12).flatmap(
    lambda blocks: st.sampled_from(["\n", "\n\n"]).map(lambda joint: joint.join(blocks))
)


def without_fences_and_space(text: str) -> str:
    return re.sub(r"\s+", "", re.sub(r"^```\w*$", "", text, flags=re.MULTILINE))


@given(texts)
@example("x" * 1000)
@example("```\n" + "y" * 1000 + "\n```")
@example("😀" * 500)
def test_nothing_is_lost_and_nothing_too_long(text):
    pieces = split_markdown(text, LIMIT)
    assert all(0 < utf16_length(piece) <= LIMIT for piece in pieces)
    assert without_fences_and_space("\n".join(pieces)) == without_fences_and_space(text)


@given(texts)
def test_every_piece_closes_the_fences_it_opens(text):
    for piece in split_markdown(text, LIMIT):
        assert len(re.findall(r"^```", piece, flags=re.MULTILINE)) % 2 == 0


@given(st.text(max_size=1500), st.integers(256, 700))
def test_any_text_at_all_can_be_split(text, limit):
    pieces = split_markdown(text, limit)
    assert all(piece.strip() and utf16_length(piece) <= limit for piece in pieces)


def test_what_fits_is_left_as_it_is():
    assert split_markdown("a\n\nb  ", LIMIT) == ["a\n\nb  "]


def test_a_cut_prefers_paragraphs_then_lines_then_words():
    paragraph = "one two " * 20
    assert split_markdown(f"{paragraph}\n\n{paragraph}", LIMIT) == [paragraph.strip(), paragraph]
    line = "three four " * 14
    assert split_markdown(f"{line}\n{line}", LIMIT) == [line.strip(), line]
    assert all(piece.endswith("five") for piece in split_markdown(("five " * 100).strip(), LIMIT))


def test_a_cut_fence_is_closed_and_opened_again_with_its_language():
    text = "```python\n" + "x = 1\n" * 80 + "```"
    first, *_, last = split_markdown(text, LIMIT)
    assert first.startswith("```python\nx = 1")
    assert first.endswith("x = 1\n```")
    assert last.startswith("```python\nx = 1")
    assert last.endswith("x = 1\n```")


def test_a_long_tail_of_a_fence_is_not_mistaken_for_its_end():
    text = "````md\n" + "```py\nx\n```\n" * 60 + "````"
    for piece in split_markdown(text, LIMIT):
        assert piece.startswith("````md\n")
        assert piece.endswith("\n````")


@pytest.mark.parametrize("text", ["", " ", "\n\n\n"])
def test_blank_text_has_no_pieces(text):
    assert split_markdown(text, LIMIT) == []


def test_a_message_is_as_long_as_telegram_takes():
    assert MESSAGE_LIMIT == 4096  # Bot API, sendMessage: "1-4096 characters after entities parsing"
