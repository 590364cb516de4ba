"""The service's errors: may the call be tried again, and who must act.

AssistantError
├── ModelError                     the model's provider; the user gets a friendly sentence
│   ├── ModelUnavailableError      worth another try: timeouts, refused connections, 408, 409, 429, 5xx
│   │   ├── CooldownError          not asked: the provider's wait is not over
│   │   ├── ModelTimeoutError      connected, but it said nothing for too long
│   │   ├── CutAnswerError         the connection or the stream ended before the answer did
│   │   └── BadAnswerError         no usable answer: not JSON, no choices, empty
│   └── ModelRefusedError          the same request will fail again: 400, 404 and the like
│       ├── KeyRefusedError        key or account are not let in: 401, 403
│       ├── NoCreditError          quota used up, bill not paid: 402, 429
│       ├── UnknownModelError      the provider has no model of that name
│       ├── ContentRefusedError    the provider's rules forbid the question or the answer
│       ├── AnswerTooLargeError    it would be as large again
│       ├── ToolsRefusedError      the model takes no tools, or not in this way
│       ├── FieldRefusedError      the model does not take a field that can be left out
│       ├── ContextOverflowError   fewer messages may fit
│       └── ThreadLostError        the provider's conversation is gone or cannot be continued; a new one can
├── ConfigurationError             the admin or operator must act
│   ├── NoSecretaryError
│   ├── UnknownProviderError
│   ├── UnknownAssistantTypeError
│   ├── UnknownToolTypeError
│   └── BrokenRowError             a row that cannot become what it says it is
└── ToolError                      its text goes to the model
    ├── InvalidInputError          the model's to correct
    └── ToolExecutionError         the tool failed; other arguments may or may not help
        └── ToolTimeoutError       it was stopped: whether it had done its work is not known
"""

from .tool_mode import ToolMode


class AssistantError(Exception):
    """Root of the service's errors."""

    model: str | None = None
    """Which model it is about, as `provider/model` or as the row names it; None where it is about none."""


class ModelError(AssistantError):
    """No answer from a model.

    `status` and `code` are the HTTP status and the provider's own code of the error, where it gave any.
    """

    def __init__(self, reason: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


class ModelUnavailableError(ModelError):
    """Worth another try.

    `retry_after` is what the provider asked to wait, in seconds; None where it said nothing.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, status=status, code=code)
        self.retry_after = retry_after


class CooldownError(ModelUnavailableError):
    """The provider was not asked; `retry_after` is the rest of the wait that it asked for."""


class ModelTimeoutError(ModelUnavailableError):
    """The provider did not answer in time."""


class NobodyListensError(ModelUnavailableError):
    """No connection: the address refuses it, or its name is not known."""


class CutAnswerError(ModelUnavailableError):
    """The answer began, and its end is missing."""


class BadAnswerError(ModelUnavailableError):
    """The provider answered 200, and the body is not an answer."""


class ModelRefusedError(ModelError):
    """The same request will fail again."""


class KeyRefusedError(ModelRefusedError):
    """The provider does not let the key or its account in."""


class NoCreditError(ModelRefusedError):
    """The account has no credit left, or its quota is used up."""


class UnknownModelError(ModelRefusedError):
    """The provider has no model of that name, or not for this key."""


class ContentRefusedError(ModelRefusedError):
    """What was asked, or what was to be answered, is against the provider's rules."""


class AnswerTooLargeError(ModelRefusedError):
    """The answer is larger than anything that is read (`bounds`)."""


class ToolsRefusedError(ModelRefusedError):
    """The model takes no tools, or not in this way; `modes` are others that the refusal names, best first."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str | None = None,
        modes: tuple[ToolMode, ...] = (),
    ) -> None:
        super().__init__(reason, status=status, code=code)
        self.modes = modes


class FieldRefusedError(ModelRefusedError):
    """The model does not take a field of the request, or its value; `fields` are the names it may have."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str | None = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, status=status, code=code)
        self.fields = fields


class ContextOverflowError(ModelRefusedError):
    """The conversation is too long for the model."""


class ThreadLostError(ModelRefusedError):
    """A conversation kept at the provider is gone there, or stuck (a call that nobody answered)."""


class ConfigurationError(AssistantError):
    """Rows or settings that cannot work as they stand."""


class NoSecretaryError(ConfigurationError):
    """There is no active secretary that can be built."""


class UnknownProviderError(ConfigurationError):
    """A model name names a provider that nobody configured."""


class UnknownAssistantTypeError(ConfigurationError):
    """A row's assistant_type has no implementation here."""


class UnknownToolTypeError(ConfigurationError):
    """A row's tool_type has no implementation here."""


class BrokenRowError(ConfigurationError):
    """A row contradicts itself, or its schema is invalid."""


class ToolError(AssistantError):
    """What a tool tells the model; the text must not hold secrets or internals."""


class InvalidInputError(ToolError):
    """The model called the tool wrongly; the text says how to do it right."""


class ToolExecutionError(ToolError):
    """The tool could not do what it was asked."""


class ToolTimeoutError(ToolExecutionError):
    """The tool was stopped, for it took too long."""
