"""What the service itself says to users, in English and Russian."""

from collections.abc import Sequence
from enum import StrEnum

from ..core.errors import (
    AnswerTooLargeError,
    AssistantError,
    BadAnswerError,
    ConfigurationError,
    ContentRefusedError,
    ContextOverflowError,
    KeyRefusedError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
    NoSecretaryError,
    ThreadLostError,
    UnknownModelError,
    UnknownProviderError,
)
from ..utils.locale import speaks_russian


class Text(StrEnum):
    """The sentences."""

    FAILED = "failed"
    BUSY = "busy"
    TOO_SLOW = "too_slow"
    TOO_LONG = "too_long"
    ANSWER_TOO_LONG = "answer_too_long"
    CONTENT = "content"
    KEY = "key"
    NO_CREDIT = "no_credit"
    NO_MODEL = "no_model"
    NO_PROVIDER = "no_provider"
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
    Text.TOO_LONG: (
        "This is more than the language model can read at once. If your message is long, please send it in "
        "parts; if it is short, only the operator of this bot can help. (Incident {incident})"
    ),
    Text.ANSWER_TOO_LONG: (
        "Sorry, the answer became too long, so I stopped. Please ask for less at once. (Incident {incident})"
    ),
    Text.CONTENT: (
        "The provider of the language model does not allow an answer to this. "
        "Please ask in other words, or something else. (Incident {incident})"
    ),
    Text.KEY: (
        "Sorry, I cannot answer: the language model does not let me in. Trying again will not help; "
        "the operator of this bot must put the key or the account right. (Incident {incident})"
    ),
    Text.NO_CREDIT: (
        "Sorry, I cannot answer: what was paid for the language model is used up. Trying again will not "
        "help; the operator of this bot must top up the account. (Incident {incident})"
    ),
    Text.NO_MODEL: (
        "Sorry, I cannot answer: the language model that was chosen for me does not exist. Trying again "
        "will not help; the operator of this bot must choose another one. (Incident {incident})"
    ),
    Text.NO_PROVIDER: (
        "Sorry, I cannot answer: the language model that was chosen for me belongs to a provider that is "
        "not set up here. Trying again will not help; the operator of this bot must set it up or choose "
        "another model. (Incident {incident})"
    ),
    Text.OPERATOR: (
        "Sorry, I cannot answer: something is set up wrong between me and the language model. It is not "
        "your words. The operator of this bot must look at it. (Incident {incident})"
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
    Text.TOO_LONG: (
        "Это больше, чем языковая модель может прочесть сразу. Если сообщение длинное, пришлите его, "
        "пожалуйста, по частям; если короткое, помочь может только тот, кто обслуживает этого бота. "
        "(Сбой {incident})"
    ),
    Text.ANSWER_TOO_LONG: (
        "Простите, ответ получился слишком длинным, и я остановился. "
        "Попросите, пожалуйста, меньше за один раз. (Сбой {incident})"
    ),
    Text.CONTENT: (
        "Поставщик языковой модели не разрешает отвечать на это. "
        "Спросите другими словами или о другом. (Сбой {incident})"
    ),
    Text.KEY: (
        "Простите, ответить не могу: языковая модель не пускает меня. Повторять нет смысла: тот, кто "
        "обслуживает этого бота, должен исправить ключ или учётную запись. (Сбой {incident})"
    ),
    Text.NO_CREDIT: (
        "Простите, ответить не могу: оплаченное за языковую модель закончилось. Повторять нет смысла: тот, "
        "кто обслуживает этого бота, должен пополнить счёт. (Сбой {incident})"
    ),
    Text.NO_MODEL: (
        "Простите, ответить не могу: языковой модели, которую для меня выбрали, нет. Повторять нет смысла: "
        "тот, кто обслуживает этого бота, должен выбрать другую. (Сбой {incident})"
    ),
    Text.NO_PROVIDER: (
        "Простите, ответить не могу: поставщик языковой модели, которую для меня выбрали, здесь не "
        "настроен. Повторять нет смысла: тот, кто обслуживает этого бота, должен настроить его или "
        "выбрать другую модель. (Сбой {incident})"
    ),
    Text.OPERATOR: (
        "Простите, ответить не могу: между мной и языковой моделью что-то настроено неверно. Дело не в "
        "ваших словах, это должен исправить тот, кто обслуживает этого бота. (Сбой {incident})"
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

_TEXTS: tuple[tuple[type[Exception], Text], ...] = (
    (TimeoutError, Text.TOO_SLOW),
    (NoSecretaryError, Text.NO_SECRETARY),
    (UnknownProviderError, Text.NO_PROVIDER),
    (ConfigurationError, Text.OPERATOR),
    (ContextOverflowError, Text.TOO_LONG),
    (ThreadLostError, Text.FAILED),
    (BadAnswerError, Text.FAILED),
    (AnswerTooLargeError, Text.ANSWER_TOO_LONG),
    (ContentRefusedError, Text.CONTENT),
    (KeyRefusedError, Text.KEY),
    (NoCreditError, Text.NO_CREDIT),
    (UnknownModelError, Text.NO_MODEL),
    (ModelRefusedError, Text.OPERATOR),
    (ModelUnavailableError, Text.BUSY),
    (Exception, Text.FAILED),
)
"""The first that fits counts."""


def text_for(error: AssistantError | TimeoutError) -> Text:
    """What helps a user whose message ended in `error`: wait, change it, or call for the operator."""
    # the last row is Exception, so there always is one
    return next(text for kind, text in _TEXTS if isinstance(error, kind))


def say(text: Text, *, language: str | None, message: str = "", incident: str = "") -> str:
    """The sentence in the user's language, or, where it is not known, in that of their message."""
    return (_RUSSIAN if speaks_russian(language, message) else _ENGLISH)[text].format(incident=incident)


def say_done(receipts: Sequence[str], *, language: str | None) -> str:
    """The answer where the model gave none after calls that have changed something."""
    listed = "\n".join(f"• {line}" for receipt in receipts for line in receipt.splitlines())
    return f"{say(Text.DONE_BEFORE, language=language, message=listed)}\n{listed}"
