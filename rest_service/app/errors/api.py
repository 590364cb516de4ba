"""Refusals, by status.

ApiError
├── BadRequestError      400  the body cannot be read
├── NotFoundError        404
├── ConflictError        409  it clashes with what is there
├── ForbiddenError       403  the key is not allowed to do this
├── MediaTypeError       415  the body is not JSON
├── InvalidError         422  a field is wrong
└── UnavailableError     503  the database is away or busy: try again
"""

from typing import ClassVar

from service_kit.contracts.errors import ErrorBody, FieldError


class ApiError(Exception):
    """Root of the refusals; `message` is a sentence for a person."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def body(self) -> ErrorBody:
        """What is answered."""
        details = [FieldError(field=self.field, message=self.message)] if self.field else []
        return ErrorBody(code=self.code, message=self.message, field=self.field, details=details)


class BadRequestError(ApiError):
    """The body cannot be read."""

    status = 400
    code = "bad_request"


class ForbiddenError(ApiError):
    """The key is right, but not allowed to do this."""

    status = 403
    code = "forbidden"


class NotFoundError(ApiError):
    """There is no such row."""

    status = 404
    code = "not_found"


class ConflictError(ApiError):
    """It conflicts with stored data."""

    status = 409
    code = "conflict"


class MediaTypeError(ApiError):
    """The body is not sent as JSON."""

    status = 415
    code = "unsupported_media_type"


class InvalidError(ApiError):
    """A field is wrong."""

    status = 422
    code = "invalid"


class UnavailableError(ApiError):
    """The database is away or busy; the same request may succeed in a moment."""

    status = 503
    code = "unavailable"

    def __init__(
        self, message: str = "The database does not answer at the moment. Try again shortly."
    ) -> None:
        super().__init__(message)
