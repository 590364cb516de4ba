"""Every error is answered as one `ErrorBody`, without internal details."""

import secrets
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from service_kit.contracts.errors import ErrorBody, FieldError
from service_kit.errors import NotFoundError, RestError, TransientError
from service_kit.logging import get_logger

from ..services.errors import NotConfiguredError

log = get_logger(__name__)


class UnauthorizedError(Exception):
    """No key, or a wrong one."""


_HTTP = {
    404: ("not_found", "There is no such address here."),
    405: ("method_not_allowed", "This address does not take that method."),
}


def _answer(status: int, body: ErrorBody, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


async def _answer_unauthorized(_request: Request, _exc: Exception) -> JSONResponse:
    message = "Send 'Authorization: Bearer <key>' with SERVICE_API_KEY or ADMIN_API_KEY."
    body = ErrorBody(code="unauthorized", message=message)
    return _answer(401, body, {"WWW-Authenticate": "Bearer"})


async def _answer_http(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - tells mypy what the registration says
    code, message = _HTTP.get(exc.status_code, ("refused", str(exc.detail)))
    return _answer(exc.status_code, ErrorBody(code=code, message=message), dict(exc.headers or {}))


async def _answer_invalid(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - as above
    details = [FieldError(field=".".join(map(str, e["loc"])), message=e["msg"]) for e in exc.errors()]
    first = details[0]
    body = ErrorBody(
        code="invalid", message=f"{first.field}: {first.message}.", field=first.field, details=details
    )
    return _answer(422, body)


async def _answer_not_configured(_request: Request, exc: Exception) -> JSONResponse:
    return _answer(503, ErrorBody(code="not_configured", message=str(exc)))


async def _answer_rest_not_found(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, NotFoundError)  # noqa: S101 - as above
    return _answer(404, ErrorBody(code=exc.body.code, message=exc.body.message, field=exc.body.field))


async def _answer_rest_refused(_request: Request, exc: Exception) -> JSONResponse:
    log.error("rest_service_refused", error=str(exc))
    message = "rest_service refused a call of this service. The log has the reason."
    return _answer(502, ErrorBody(code="bad_gateway", message=message))


async def _answer_unavailable(_request: Request, exc: Exception) -> JSONResponse:
    log.warning("dependency_unavailable", error=str(exc) or type(exc).__name__)
    message = "A service that is needed here does not answer. Try again shortly."
    return _answer(503, ErrorBody(code="unavailable", message=message), {"Retry-After": "5"})


async def _catch_defect(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        return await call_next(request)
    except Exception:  # the one place that catches everything
        incident = secrets.token_hex(4)
        log.exception("unexpected_error", incident_id=incident, path=request.url.path)
        message = f"Something went wrong. The log has details under {incident}."
        return _answer(500, ErrorBody(code="internal", message=message, incident_id=incident))


def register(app: FastAPI) -> None:
    """Make `app` answer all errors in the one shape."""
    app.middleware("http")(_catch_defect)
    app.add_exception_handler(UnauthorizedError, _answer_unauthorized)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(NotConfiguredError, _answer_not_configured)
    app.add_exception_handler(NotFoundError, _answer_rest_not_found)
    app.add_exception_handler(RestError, _answer_rest_refused)
    for unavailable in (TransientError, RedisError, TimeoutError):
        app.add_exception_handler(unavailable, _answer_unavailable)
