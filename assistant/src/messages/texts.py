"""What the service itself says to users, in English and Russian."""

import re
from enum import StrEnum

_CYRILLIC = re.compile("[а-яёА-ЯЁ]")


class Text(StrEnum):
    """The sentences."""

    FAILED = "failed"
    TOO_LONG = "too_long"
    NO_SECRETARY = "no_secretary"
    RESET_DONE = "reset_done"
    GIVEN_UP = "given_up"


_ENGLISH = {
    Text.FAILED: "Sorry, I could not answer just now. Please try again in a moment. (Incident {incident})",
    Text.TOO_LONG: "This is too long for me to read at once. Please send it in parts. (Incident {incident})",
    Text.NO_SECRETARY: (
        "There is no assistant here yet that could answer. An administrator has to create one: "
        "an active assistant with is_secretary = true. (Incident {incident})"
    ),
    Text.RESET_DONE: "A new conversation: I have forgotten what we talked about.",
    Text.GIVEN_UP: "Sorry, I could not handle your message. Please send it again. (Incident {incident})",
}
_RUSSIAN = {
    Text.FAILED: "Простите, сейчас ответить не получилось. Попробуйте ещё раз чуть позже. (Сбой {incident})",
    Text.TOO_LONG: "Это слишком длинно, чтобы прочесть сразу. Пришлите, пожалуйста, по частям. "
    "(Сбой {incident})",
    Text.NO_SECRETARY: (
        "Здесь пока нет ассистента, который мог бы ответить. Администратору нужно создать его: "
        "активный ассистент с is_secretary = true. (Сбой {incident})"
    ),
    Text.RESET_DONE: "Новый разговор: о прежнем я больше не помню.",
    Text.GIVEN_UP: "Простите, не получилось обработать ваше сообщение. Отправьте его, пожалуйста, ещё раз. "
    "(Сбой {incident})",
}


def say(text: Text, *, language: str | None, message: str = "", incident: str = "") -> str:
    """The sentence in the user's language, or, where it is not known, in that of their message."""
    russian = language.lower().startswith("ru") if language else bool(_CYRILLIC.search(message))
    return (_RUSSIAN if russian else _ENGLISH)[text].format(incident=incident)
