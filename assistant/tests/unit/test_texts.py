"""What users hear when a message fails: by who can do something about it."""

import re
from string import Formatter

import pytest

from assistant.src.core.errors import (
    AnswerTooLargeError,
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
from assistant.src.core.providers.refusals import classify_refusal
from assistant.src.messages.texts import Text, say, text_for

WITHOUT_INCIDENT = {Text.RESET_DONE, Text.DONE_BEFORE, Text.NO_ACCESS}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelUnavailableError("429", status=429), Text.BUSY),
        (ModelUnavailableError("no answer in 60 s"), Text.BUSY),
        (BadAnswerError("not JSON"), Text.FAILED),
        (classify_refusal("wrong key", status=401), Text.KEY),
        (classify_refusal("pay", status=402), Text.NO_CREDIT),
        (classify_refusal("no", status=403), Text.KEY),
        (classify_refusal("the model `m` does not exist", status=404, code="model_not_found"), Text.NO_MODEL),
        (classify_refusal("quota", status=429, code="insufficient_quota"), Text.NO_CREDIT),
        (classify_refusal("against our content policy", status=400), Text.CONTENT),
        (classify_refusal("unknown field", status=400), Text.OPERATOR),
        (classify_refusal("not found", status=404), Text.OPERATOR),
        (AnswerTooLargeError("600 MB"), Text.ANSWER_TOO_LONG),
        (ModelRefusedError("no room for a word"), Text.OPERATOR),
        (ContextOverflowError("8192", status=400), Text.TOO_LONG),
        (ThreadLostError("404 no conversation", status=404), Text.FAILED),
        (UnknownProviderError("acme"), Text.NO_PROVIDER),
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


WORDS = {"en": ("words", "your words"), "ru": ("слов", "ваших словах")}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_only_what_is_about_words_asks_for_others(language):
    word, excuse = WORDS[language]
    about = {text for text in Text if word in say(text, language=language, incident="X").replace(excuse, "")}
    assert about == {Text.CONTENT}


@pytest.mark.parametrize(("language", "operator"), [("en", "operator"), ("ru", "обслуживает")])
def test_who_must_act_is_said_where_the_user_cannot(language, operator):
    for text in (Text.KEY, Text.NO_CREDIT, Text.NO_MODEL, Text.NO_PROVIDER, Text.OPERATOR, Text.TOO_LONG):
        assert operator in say(text, language=language, incident="X")
