"""What the owner of the bot reads when people get no answers, and when they do again. English and Russian."""

from collections.abc import Mapping
from typing import NamedTuple

from ..utils.locale import speaks_russian
from ..utils.text import shorten
from .texts import Text

LONGEST_NAME = 80
"""Characters of a model's name, which anybody may have written into a row."""


class OwnerText(NamedTuple):
    """The same in both languages; `{model}` is the model's name."""

    english: str
    russian: str


_OF_FAILURES: Mapping[Text, OwnerText] = {
    Text.KEY: OwnerText(
        "The provider of {model} does not accept the key or its account. Put a valid key into .env, then: "
        "./manage.py start",
        "Поставщик модели {model} не принимает ключ или учётную запись. Укажите в .env верный ключ, затем: "
        "./manage.py start",
    ),
    Text.NO_CREDIT: OwnerText(
        "The account at the provider of {model} has no credit left. Top it up there.",
        "У поставщика модели {model} на счёте ничего не осталось. Пополните счёт у него.",
    ),
    Text.NO_MODEL: OwnerText(
        "The provider knows no model {model}. Give the assistant another one: PATCH /api/assistants/{{id}}",
        "Поставщик не знает модели {model}. Укажите ассистенту другую: PATCH /api/assistants/{{id}}",
    ),
    Text.NO_PROVIDER: OwnerText(
        "The provider of {model} is unknown here or has no key. Set it up in .env "
        "(docs/howto/use-models.md), or give the assistant another model: PATCH /api/assistants/{{id}}",
        "Поставщик модели {model} здесь неизвестен или без ключа. Настройте его в .env "
        "(docs/howto/use-models.md) или укажите ассистенту другую модель: PATCH /api/assistants/{{id}}",
    ),
    Text.NO_SECRETARY: OwnerText(
        "There is no active assistant with is_secretary = true that can be built. Why: "
        "./manage.py logs --service assistant",
        "Нет действующего ассистента с is_secretary = true, который удаётся собрать. Почему: "
        "./manage.py logs --service assistant",
    ),
    Text.OPERATOR: OwnerText(
        "{model} refuses what it is asked, whatever the words. Why: ./manage.py logs --service assistant",
        "{model} отказывает независимо от слов. Почему: ./manage.py logs --service assistant",
    ),
    Text.BUSY: OwnerText(
        "{model} is busy or out of reach. If that lasts, see why: ./manage.py logs --service assistant",
        "{model} перегружена или недоступна. Если это надолго, посмотрите почему: "
        "./manage.py logs --service assistant",
    ),
}
"""Failures that an operator can end; others are the user's, or pass by themselves."""

_NO_ANSWERS = OwnerText("People get no answers at present. ", "Люди сейчас не получают ответов. ")
_AGAIN = OwnerText("People get answers again.", "Люди снова получают ответы.")
_NO_TOOLS = OwnerText(
    "{model} takes no tools: people get answers, but no reminders, weather and the like. Give the assistant "
    "a model that calls tools: PATCH /api/assistants/{{id}}",
    "{model} не умеет вызывать инструменты: люди получают ответы, но без напоминаний, погоды и подобного. "
    "Укажите ассистенту модель, которая умеет: PATCH /api/assistants/{{id}}",
)
_TOOLS_AGAIN = OwnerText("Answers come with tools again.", "Ответы снова приходят с инструментами.")

NO_TOOLS = "no_tools"
"""The one trouble in which people get answers."""


def is_of_operator(cause: str) -> bool:
    """Whether the owner is told of it."""
    return cause == NO_TOOLS or cause in _OF_FAILURES


def say_trouble(cause: str, model: str | None, language: str | None) -> str:
    """What is wrong and what to do about it."""
    name = shorten(model or "?", LONGEST_NAME, "…")
    if cause == NO_TOOLS:
        return _in(_NO_TOOLS, language).format(model=name)
    text = _in(_OF_FAILURES[Text(cause)], language).format(model=name)
    return _in(_NO_ANSWERS, language) + text


def say_mended(cause: str, language: str | None) -> str:
    """That it is over."""
    return _in(_TOOLS_AGAIN if cause == NO_TOOLS else _AGAIN, language)


def _in(text: OwnerText, language: str | None) -> str:
    return text.russian if speaks_russian(language) else text.english
