"""Every refusal becomes an answer here; a defect goes on to `middleware.RequestBoundary`."""

from http import HTTPStatus

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from service_kit.contracts.errors import ErrorBody
from service_kit.logging import get_logger

from .api import ApiError, ConflictError, InvalidError, UnavailableError
from .constraints import RULES
from .validation import body_of

log = get_logger(__name__)

_AWAY = ("08", "57P", "53")
"""SQLSTATE classes: connection lost, server shutting down or starting, out of connections."""
_BUSY = ("40", "55P03", "57014")
"""Deadlock or serialisation failure, lock timeout, statement timeout."""
_DATA = "22"
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def install(app: FastAPI) -> None:
    """Make `app` answer all refusals in the one shape."""
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(DBAPIError, _answer_database_error)
    app.add_exception_handler(TimeoutError, _answer_timeout)


def answer(status: int, body: ErrorBody, headers: dict[str, str] | None = None) -> JSONResponse:
    """`body` as a response."""
    return JSONResponse(body.model_dump(mode="json"), status_code=status, headers=headers)


def answer_error(error: ApiError) -> JSONResponse:
    """`error` as a response."""
    headers = {"Retry-After": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return answer(error.status, error.body(), headers)


async def _answer_api_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)  # noqa: S101 - as registered
    if request.method not in possible_methods(request, literal=True):
        return _answer_wrong_method(request)
    return answer_error(exc)


async def _answer_validation_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - as registered
    if request.method not in possible_methods(request, literal=True):
        return _answer_wrong_method(request)
    return answer(422, body_of(exc.errors()))


async def _answer_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - as registered
    match exc.status_code:
        case 400:
            message = "The body cannot be read: send JSON in UTF-8."
        case 404:
            message = f"There is no address {request.url.path}. See /docs for all addresses."
        case 405:
            return _answer_wrong_method(request)
        case _:
            message = str(exc.detail)
    code = _CODES.get(exc.status_code, "refused")
    headers = dict(exc.headers) if exc.headers else None
    return answer(exc.status_code, ErrorBody(code=code, message=message), headers)


def _answer_wrong_method(request: Request) -> JSONResponse:
    methods = ", ".join(sorted(possible_methods(request))) or "nothing"
    message = f"{request.method} is not possible at {request.url.path}; possible: {methods}."
    return answer(405, ErrorBody(code="method_not_allowed", message=message), {"Allow": methods})


def possible_methods(request: Request, *, literal: bool = False) -> set[str]:
    """The methods that the documents have for this path; starlette's `Allow` names one route's only.

    A path that is written out has only its own, not those of its neighbour `/{id}`, which starlette
    would try it with. With `literal`, all methods for any other path.
    """
    documented = request.app.openapi()["paths"]
    path = request.scope["path"]
    operations = documented.get(path)
    if operations is None and literal:
        operations = [request.method]
    if operations is None:
        templates = (template for template in documented if compile_path(template)[0].match(path))
        operations = [method for template in templates for method in documented[template]]
    return {method.upper() for method in operations}


async def _answer_timeout(_request: Request, exc: Exception) -> JSONResponse:
    log.warning("database_too_slow", error=repr(exc))
    return answer_error(UnavailableError("The database took too long. Try again shortly."))


async def _answer_database_error(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, DBAPIError)  # noqa: S101 - as registered
    error = to_api_error(exc)
    if error is None:
        raise exc
    return answer_error(error)


def to_api_error(exc: DBAPIError) -> ApiError | None:
    """What the database's error means for the caller; None where it is a defect of ours."""
    state = str(getattr(exc.orig, "sqlstate", None) or "")
    cause = exc.orig.__cause__ if exc.orig is not None else None
    # SQLSTATE class 23: a constraint is violated
    if state.startswith("23"):
        rule = RULES.get(getattr(cause, "constraint_name", None) or "")
        return rule.to_error() if rule else ConflictError("This conflicts with stored data.")
    if exc.connection_invalidated or state.startswith(_AWAY):
        log.warning("database_connection_lost", sqlstate=state)
        return UnavailableError()
    if state.startswith(_BUSY):
        log.warning("database_busy", sqlstate=state)
        return UnavailableError("The database is busy with the same rows. Try again shortly.")
    if state.startswith(_DATA) or isinstance(cause, asyncpg.DataError):
        return InvalidError("A value is outside of what can be stored: too large, or with a NUL character.")
    return None
