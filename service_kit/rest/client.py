"""Sends the calls of `endpoints` to rest_service, from asyncio or from a thread.

Retries, from asyncio: idempotent calls on any transport error and on 429, 502, 503, 504; the others
only where the request cannot have arrived (the connection was refused or never made). Backoff with jitter.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

import httpx2
from pydantic import ValidationError

from service_kit.backoff import Backoff
from service_kit.contracts.base import READING
from service_kit.contracts.errors import ErrorBody
from service_kit.errors import (
    AccessError,
    ConflictError,
    ContractError,
    NotFoundError,
    RestError,
    RestUnavailableError,
)
from service_kit.rest.endpoints import PAGE, Call
from service_kit.settings import RestClientSettings

T = TypeVar("T")


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


N = TypeVar("N", bound=_Numbered)

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)
ATTEMPT_TIMEOUT = 15.0
"""Seconds for a whole attempt: httpx counts anew with every byte that arrives."""
SYNC_TIMEOUT = httpx2.Timeout(5.0, connect=3.0)
ATTEMPTS = 3
BACKOFF = Backoff(0.15, 2.0, jitter=2 / 3)
RETRY_STATUSES = frozenset({429, 502, 503, 504})
_ERRORS: dict[int, type[RestError]] = {
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
}
# the request cannot have arrived, so that sending it again is safe
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def _client_options(settings: RestClientSettings) -> dict[str, Any]:
    return {
        "base_url": settings.rest_service_url,
        "headers": {"Authorization": f"Bearer {settings.service_api_key.get_secret_value()}"},
        "trust_env": False,  # the environment's proxies are for the outside world, not for a neighbour
    }


def _request_options(call: Call[T]) -> dict[str, Any]:
    return {"method": call.method, "url": call.path, "params": dict(call.params), "json": call.json}


def _may_retry(call: Call[T], exc: Exception) -> bool:
    return call.idempotent or isinstance(exc, _NEVER_SENT)


def _parse(call: Call[T], response: httpx2.Response) -> T:
    if response.is_success:
        try:
            # 204 has no body; its answer type is None
            return call.answer.validate_json(response.content or b"null", **READING)
        except ValidationError as exc:
            msg = f"{call.method} {call.path}: the answer breaks the contract in {exc.error_count()} places"
            raise ContractError(msg) from exc
    if response.status_code >= 500 or response.status_code in RETRY_STATUSES:
        msg = f"{call.method} {call.path}: rest_service answered {response.status_code}"
        raise RestUnavailableError(msg)
    try:
        body = ErrorBody.model_validate_json(response.content)
    except ValidationError:
        body = ErrorBody(code="unknown", message=f"rest_service answered {response.status_code}")
    raise _ERRORS.get(response.status_code, RestError)(response.status_code, body)


def _unavailable(call: Call[T], exc: Exception) -> RestUnavailableError:
    return RestUnavailableError(f"{call.method} {call.path}: {type(exc).__name__}")


class AsyncRestClient:
    """One connection pool to rest_service, for a service's lifetime; close it with `aclose()`."""

    def __init__(
        self, settings: RestClientSettings, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx2.AsyncClient(timeout=TIMEOUT, transport=transport, **_client_options(settings))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """The parsed answer.

        Raises:
            RestUnavailableError: no usable answer after all attempts.
            RestError: rest_service refused (NotFoundError, ConflictError, AccessError, …), or cannot be
                understood (ContractError).
        """
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT):
                    response = await self._http.request(**_request_options(call))
            except (httpx2.RequestError, TimeoutError) as exc:
                if last or not _may_retry(call, exc):
                    raise _unavailable(call, exc) from exc
            else:
                if last or not call.idempotent or response.status_code not in RETRY_STATUSES:
                    return _parse(call, response)
            await asyncio.sleep(BACKOFF.delay_after(attempt))
        raise AssertionError  # the last attempt returns or raises

    async def all_pages(self, page: Callable[[int], Call[list[T]]]) -> list[T]:
        """All rows of a paged list; `page(offset)` makes the call of one page."""
        rows: list[T] = []
        while True:
            some = await self.send(page(len(rows)))
            rows += some
            if len(some) < PAGE:
                return rows


class SyncRestClient:
    """The same for a service of threads (cron_service); close it with `close()`.

    It asks once: cron_service repeats what failed itself, and tries within tries would add up to minutes.
    """

    def __init__(
        self, settings: RestClientSettings, *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._http = httpx2.Client(timeout=SYNC_TIMEOUT, transport=transport, **_client_options(settings))

    def close(self) -> None:
        """Close the pool."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The parsed answer; raises as `AsyncRestClient.send`."""
        try:
            response = self._http.request(**_request_options(call))
        except httpx2.RequestError as exc:
            raise _unavailable(call, exc) from exc
        return _parse(call, response)

    def all_after(self, page: Callable[[int], Call[list[N]]]) -> list[N]:
        """All rows of a list that goes by id; `page(last_id)` makes the call of the page after it.

        Other than with `all_pages`, a row that goes away meanwhile makes no other one be skipped.
        """
        return self._read_all(lambda rows: page(rows[-1].id if rows else 0))

    def all_pages(self, page: Callable[[int], Call[list[T]]]) -> list[T]:
        """All rows of a paged list; `page(offset)` makes the call of one page."""
        return self._read_all(lambda rows: page(len(rows)))

    def _read_all(self, next_page: Callable[[list[T]], Call[list[T]]]) -> list[T]:
        rows: list[T] = []
        while True:
            some = self.send(next_page(rows))
            rows += some
            if len(some) < PAGE:
                return rows
