"""What users hear when a message fails: by who can do something about it."""

import re
from string import Formatter

import pytest

from assistant.src.core.errors import (
    AssistantError,
    BadAnswerError,
    BrokenRowError,
    ContextOverflowError,
    ModelRefusedError,
    ModelUnavailableError,
    NoSecretaryError,
    ThreadLostError,
    UnknownProviderError,
)
from assistant.src.messages.texts import Text, say, text_for

WITHOUT_INCIDENT = {Text.RESET_DONE, Text.DONE_BEFORE, Text.NO_ACCESS}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelUnavailableError("429", status=429), Text.BUSY),
        (ModelUnavailableError("no answer in 60 s"), Text.BUSY),
        (BadAnswerError("not JSON"), Text.FAILED),
        (ModelRefusedError("401 wrong key", status=401), Text.OPERATOR),
        (ModelRefusedError("402 pay", status=402), Text.OPERATOR),
        (ModelRefusedError("403", status=403), Text.OPERATOR),
        (ModelRefusedError("404 no such model", status=404), Text.OPERATOR),
        (ModelRefusedError("429 quota", status=429, code="insufficient_quota"), Text.OPERATOR),
        (ModelRefusedError("400 content policy", status=400), Text.NOT_ACCEPTED),
        (ModelRefusedError("in the stream"), Text.FAILED),
        (ContextOverflowError("8192", status=400), Text.TOO_LONG),
        (ThreadLostError("404 no conversation", status=404), Text.FAILED),
        (UnknownProviderError("acme"), Text.OPERATOR),
        (BrokenRowError("circle"), Text.OPERATOR),
        (NoSecretaryError("none"), Text.NO_SECRETARY),
        (TimeoutError(), Text.TOO_SLOW),
        (AssistantError("what else"), Text.FAILED),
    ],
    ids=lambda value: str(value) if isinstance(value, Text) else f"{type(value).__name__}({value})",
)
def test_the_sentence_follows_from_who_must_act(error, text):
    assert text_for(error) is text


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("text", Text)
def test_every_sentence_is_there_in_both_languages_with_its_incident(text, language):
    sentence = say(text, language=language, incident="BCDFGHJ")
    assert ("BCDFGHJ" in sentence) is (text not in WITHOUT_INCIDENT)
    assert bool(re.search("[а-я]", sentence)) is (language == "ru")
    assert [field for _, field, _, _ in Formatter().parse(sentence) if field] == []


def test_no_two_sentences_are_the_same():
    for language in ("en", "ru"):
        assert len({say(text, language=language) for text in Text}) == len(Text)
