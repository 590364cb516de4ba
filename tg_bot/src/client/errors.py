"""The errors of the Bot API: one table from wire to exception.

| what came of a call                        | error                 | carried out | worth another try |
|--------------------------------------------|-----------------------|-------------|-------------------|
| no connection in time (DNS, pool, connect) | NotSentError          | no          | yes               |
| 408, or a 4xx that is not of the Bot API   | NotSentError          | no          | yes               |
| 429                                        | RetryAfterError       | no          | after its wait    |
| no answer, or not all of it in time        | UncertainError        | perhaps     | once              |
| 5xx of whatever shape                      | ServerError           | perhaps     | once              |
| a redirect, no Bot API answer, too large   | ServerError           | perhaps     | once              |
| 401, 404                                   | UnauthorizedError     | no          | when it is mended |
| 403                                        | UnreachableError      | no          | no                |
| 409                                        | PollConflictError     | no          | after a wait      |
| 400 with migrate_to_chat_id                | ChatMigratedError     | no          | in the new chat   |
| 400 chat not found                         | ChatNotFoundError     | no          | no                |
| any other 4xx                              | BadRequestError       | no          | no                |

TelegramError
├── TelegramTransientError       (TransientError) a later call may succeed
│   ├── NotSentError
│   ├── RetryAfterError          carries the wait in seconds
│   └── UncertainError
│       └── ServerError
└── TelegramRefusedError         (PermanentError) the same call will be refused again
    ├── UnauthorizedError        the token is wrong; the operator must act
    ├── UnreachableError         the user blocked the bot, or is gone
    ├── PollConflictError        another poller, or a webhook
    └── BadRequestError
        ├── ChatNotFoundError
        └── ChatMigratedError    the group became a supergroup; carries its new id

No error contains the request's URL, because the token is part of it.
"""

from collections.abc import Callable

from pydantic import Field

from service_kit.errors import PermanentError, TransientError

from .models import BotObject


class TelegramError(Exception):
    """Root of all errors of the Bot API."""


class TelegramTransientError(TelegramError, TransientError):
    """A later call may succeed."""


class NotSentError(TelegramTransientError):
    """Telegram did not carry out the request."""


class UncertainError(TelegramTransientError):
    """The request was sent and not answered: Telegram may have carried it out."""


class ServerError(UncertainError):
    """A 5xx, or an answer that is not of the Bot API: a gateway may have answered in its place."""


class RetryAfterError(TelegramTransientError):
    """429: too many requests."""

    def __init__(self, text: str, *, retry_after: float) -> None:
        super().__init__(f"{text} (wait {retry_after:.0f} s)")
        self.retry_after = retry_after


class TelegramRefusedError(TelegramError, PermanentError):
    """The same call will be refused again."""


class UnauthorizedError(TelegramRefusedError):
    """Telegram does not know the token."""


class UnreachableError(TelegramRefusedError):
    """The user blocked the bot, deleted the account, or removed the bot from the group."""


class PollConflictError(TelegramRefusedError):
    """Another poller or a webhook receives this bot's updates."""

    @property
    def by_webhook(self) -> bool:
        """Whether it is a webhook. If not, another process polls with the same token."""
        return "webhook" in str(self).lower()


class BadRequestError(TelegramRefusedError):
    """The request is invalid."""


class ChatNotFoundError(BadRequestError):
    """The chat does not exist, or the user never wrote to this bot."""


class ChatMigratedError(BadRequestError):
    """The group became a supergroup."""

    def __init__(self, text: str, *, new_chat_id: int) -> None:
        super().__init__(text)
        self.new_chat_id = new_chat_id


class Parameters(BotObject):
    """`ResponseParameters` of the Bot API."""

    retry_after: float | None = None
    migrate_to_chat_id: int | None = None


class Failure(BotObject):
    """An answer with `ok: false`."""

    error_code: int
    description: str = "no description"
    parameters: Parameters = Field(default_factory=Parameters)


_BY_CODE: dict[int, Callable[[str], TelegramError]] = {
    401: UnauthorizedError,
    403: UnreachableError,
    404: UnauthorizedError,  # every method we call exists, so it is the token in the path
    409: PollConflictError,
}
DEFAULT_RETRY_AFTER, LONGEST_RETRY_AFTER = 5.0, 86_400.0
"""Seconds to wait where a 429 does not say how long, and at most: a message is tried for a day."""


def error_for(method: str, failure: Failure) -> TelegramError:
    """The exception for a failed call of `method`."""
    text = f"{method}: {failure.error_code} {failure.description}"
    code, wire = failure.error_code, failure.description.lower()
    if code == 429 or failure.parameters.retry_after is not None:
        wait = failure.parameters.retry_after or 0.0
        return RetryAfterError(
            text, retry_after=min(wait, LONGEST_RETRY_AFTER) if wait > 0 else DEFAULT_RETRY_AFTER
        )
    # before the code: Telegram sends a plain 400 with it
    if failure.parameters.migrate_to_chat_id is not None:
        return ChatMigratedError(text, new_chat_id=failure.parameters.migrate_to_chat_id)
    if code < 400 or code >= 500:
        return ServerError(text)
    if code == 408:
        return NotSentError(text)
    if "chat not found" in wire or "peer_id_invalid" in wire:
        return ChatNotFoundError(text)
    return _BY_CODE.get(code, BadRequestError)(text)
