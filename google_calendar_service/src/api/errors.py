"""Every refusal and failure as one ErrorBody; nothing of the inside leaves."""

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


async def _unauthorized(_request: Request, _exc: Exception) -> JSONResponse:
    message = "Send 'Authorization: Bearer <key>' with SERVICE_API_KEY or ADMIN_API_KEY."
    body = ErrorBody(code="unauthorized", message=message)
    return _answer(401, body, {"WWW-Authenticate": "Bearer"})


async def _http(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - tells mypy what the registration says
    code, message = _HTTP.get(exc.status_code, ("refused", str(exc.detail)))
    return _answer(exc.status_code, ErrorBody(code=code, message=message), dict(exc.headers or {}))


async def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - as above
    details = [FieldError(field=".".join(map(str, e["loc"])), message=e["msg"]) for e in exc.errors()]
    first = details[0]
    body = ErrorBody(
        code="invalid", message=f"{first.field}: {first.message}.", field=first.field, details=details
    )
    return _answer(422, body)


async def _not_configured(_request: Request, exc: Exception) -> JSONResponse:
    return _answer(503, ErrorBody(code="not_configured", message=str(exc)))


async def _rest_not_found(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, NotFoundError)  # noqa: S101 - as above
    return _answer(404, ErrorBody(code=exc.body.code, message=exc.body.message, field=exc.body.field))


async def _rest_refused(_request: Request, exc: Exception) -> JSONResponse:
    log.error("rest_service_refused", error=str(exc))
    message = "rest_service refused this service's call; the operator finds why in the log."
    return _answer(502, ErrorBody(code="bad_gateway", message=message))


async def _unavailable(_request: Request, exc: Exception) -> JSONResponse:
    log.warning("part_unavailable", error=str(exc) or type(exc).__name__)
    message = "A part of the suite does not answer at the moment; try again shortly."
    return _answer(503, ErrorBody(code="unavailable", message=message), {"Retry-After": "5"})


async def _unexpected(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        return await call_next(request)
    except Exception:  # the one place where anything becomes an answer
        incident = secrets.token_hex(4)
        log.exception("unexpected_error", incident_id=incident, path=request.url.path)
        message = "Something went wrong here; the operator finds it in the log by the incident id."
        return _answer(500, ErrorBody(code="internal", message=message, incident_id=incident))


def register(app: FastAPI) -> None:
    """Give `app` its one error shape."""
    app.middleware("http")(_unexpected)
    app.add_exception_handler(UnauthorizedError, _unauthorized)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotConfiguredError, _not_configured)
    app.add_exception_handler(NotFoundError, _rest_not_found)
    app.add_exception_handler(RestError, _rest_refused)
    for unavailable in (TransientError, RedisError, TimeoutError):
        app.add_exception_handler(unavailable, _unavailable)
