"""What the service itself says to users, in English and Russian."""

from collections.abc import Sequence
from enum import StrEnum

from ..core.errors import (
    AssistantError,
    BadAnswerError,
    ConfigurationError,
    ContextOverflowError,
    ModelRefusedError,
    ModelUnavailableError,
    NoSecretaryError,
    ThreadLostError,
)
from ..utils.locale import speaks_russian


class Text(StrEnum):
    """The sentences."""

    FAILED = "failed"
    BUSY = "busy"
    TOO_SLOW = "too_slow"
    TOO_LONG = "too_long"
    NOT_ACCEPTED = "not_accepted"
    OPERATOR = "operator"
    NO_SECRETARY = "no_secretary"
    RESET_DONE = "reset_done"
    GIVEN_UP = "given_up"
    DONE_BEFORE = "done_before"
    NO_ACCESS = "no_access"


_ENGLISH = {
    Text.FAILED: "Sorry, I could not answer just now. Please try again in a moment. (Incident {incident})",
    Text.BUSY: (
        "Sorry, the language model that I ask is busy or out of reach. "
        "Please try again in a few minutes. (Incident {incident})"
    ),
    Text.TOO_SLOW: (
        "Sorry, this took too long, so I stopped. "
        "Please try again, perhaps with a smaller question. (Incident {incident})"
    ),
    Text.TOO_LONG: "This is too long for me to read at once. Please send it in parts. (Incident {incident})",
    Text.NOT_ACCEPTED: (
        "Sorry, the language model did not accept this. Please put it in other words; "
        "if that does not help, tell the operator of this bot. (Incident {incident})"
    ),
    Text.OPERATOR: (
        "Sorry, I cannot answer: my access to the language model does not work. "
        "Trying again will not help; the operator of this bot must look at it. (Incident {incident})"
    ),
    Text.NO_SECRETARY: (
        "There is no assistant here yet that could answer. An administrator has to create one: "
        "an active assistant with is_secretary = true. (Incident {incident})"
    ),
    Text.RESET_DONE: "A new conversation: I have forgotten what we talked about.",
    Text.GIVEN_UP: "Sorry, I could not handle your message. Please send it again. (Incident {incident})",
    Text.DONE_BEFORE: "I could not finish my answer. This is what I did before:",
    Text.NO_ACCESS: "You have no access to this assistant at present. Whoever runs it can give it to you.",
}
_RUSSIAN = {
    Text.FAILED: "Простите, сейчас ответить не получилось. Попробуйте ещё раз чуть позже. (Сбой {incident})",
    Text.BUSY: (
        "Простите, языковая модель перегружена или недоступна. "
        "Попробуйте ещё раз через несколько минут. (Сбой {incident})"
    ),
    Text.TOO_SLOW: (
        "Простите, это заняло слишком много времени, и я остановился. "
        "Попробуйте ещё раз, например с вопросом поменьше. (Сбой {incident})"
    ),
    Text.TOO_LONG: "Это слишком длинно, чтобы прочесть сразу. Пришлите, пожалуйста, по частям. "
    "(Сбой {incident})",
    Text.NOT_ACCEPTED: (
        "Простите, языковая модель не приняла этот запрос. Попробуйте сказать иначе; "
        "если не поможет, сообщите тому, кто обслуживает этого бота. (Сбой {incident})"
    ),
    Text.OPERATOR: (
        "Простите, ответить не могу: мой доступ к языковой модели не работает. "
        "Повторять нет смысла, это должен исправить тот, кто обслуживает этого бота. (Сбой {incident})"
    ),
    Text.NO_SECRETARY: (
        "Здесь пока нет ассистента, который мог бы ответить. Администратору нужно создать его: "
        "активный ассистент с is_secretary = true. (Сбой {incident})"
    ),
    Text.RESET_DONE: "Новый разговор: о прежнем я больше не помню.",
    Text.GIVEN_UP: "Простите, не получилось обработать ваше сообщение. Отправьте его, пожалуйста, ещё раз. "
    "(Сбой {incident})",
    Text.DONE_BEFORE: "Закончить ответ не получилось. Вот что я сделал до этого:",
    Text.NO_ACCESS: "Сейчас у вас нет доступа к этому ассистенту. Дать его может тот, кто обслуживает бота.",
}

_REFUSED_AS_SAID = frozenset({400, 413, 422})
"""Statuses of a request that was understood and not liked; the others are of key, credit or model name."""


def text_for(error: AssistantError | TimeoutError) -> Text:
    """What helps a user whose message ended in `error`: wait, change it, or call for the operator."""
    match error:
        case TimeoutError():
            return Text.TOO_SLOW
        case NoSecretaryError():
            return Text.NO_SECRETARY
        case ContextOverflowError():
            return Text.TOO_LONG
        case ThreadLostError() | BadAnswerError():
            return Text.FAILED
        case ModelRefusedError(status=status) if status in _REFUSED_AS_SAID:
            return Text.NOT_ACCEPTED
        case ModelRefusedError(status=int()) | ConfigurationError():
            return Text.OPERATOR
        case ModelUnavailableError():
            return Text.BUSY
        case _:
            return Text.FAILED


def say(text: Text, *, language: str | None, message: str = "", incident: str = "") -> str:
    """The sentence in the user's language, or, where it is not known, in that of their message."""
    return (_RUSSIAN if speaks_russian(language, message) else _ENGLISH)[text].format(incident=incident)


def say_done(receipts: Sequence[str], *, language: str | None) -> str:
    """The answer where the model gave none after calls that have changed something."""
    listed = "\n".join(f"• {line}" for receipt in receipts for line in receipt.splitlines())
    return f"{say(Text.DONE_BEFORE, language=language, message=listed)}\n{listed}"
