"""The kit's errors: may it be retried, and who must act.

KitError
├── TransientError        worth another try: timeouts, refused connections, 429, 5xx
│   └── RestUnavailableError
└── PermanentError        the same call will fail again
    └── RestError         rest_service said no (4xx); carries its ErrorBody
        ├── NotFoundError
        ├── ConflictError
        ├── AccessError   a wrong or missing key: the operator must act
        └── ContractError its answer cannot be read: two versions that do not fit; the operator must act
"""

from service_kit.contracts.errors import ErrorBody


class KitError(Exception):
    """Root of the kit's errors."""


class TransientError(KitError):
    """Worth another try, later."""


class PermanentError(KitError):
    """The same call will fail again."""


class RestUnavailableError(TransientError):
    """rest_service did not answer, or answered 429 or 5xx."""


class RestError(PermanentError):
    """rest_service refused the call."""

    def __init__(self, status: int, body: ErrorBody) -> None:
        super().__init__(f"{status} {body.code}: {body.message}")
        self.status = status
        self.body = body


class NotFoundError(RestError):
    """404."""


class ConflictError(RestError):
    """409."""


class AccessError(RestError):
    """401 or 403: the key is wrong or does not reach that far."""


class ContractError(RestError):
    """rest_service answered, and this version cannot read it."""

    def __init__(self, text: str) -> None:
        super().__init__(502, ErrorBody(code="contract_broken", message=text))
