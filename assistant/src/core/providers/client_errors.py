"""The official client's errors as ours."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import httpx2
import openai

from ..errors import BadAnswerError, ModelUnavailableError, NobodyListensError
from .refusals import classify_error_body
from .retry_after import read_retry_after

REDIRECT = "a redirect, which is not followed; the provider's base URL must be the address it leads to"

NO_LISTENER = (ConnectionRefusedError, socket.gaierror)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Around whatever the client or its connection does; see `refusals` for what a server refuses."""
    try:
        yield
    except openai.APIConnectionError as exc:  # its subclass APITimeoutError too
        # httpx2's names do not tell a refused connection from a slow one; the system's error behind them does
        refused = next((one for one in _causes(exc) if isinstance(one, NO_LISTENER)), None)
        if refused is not None:
            raise NobodyListensError(f"no connection: {type(refused).__name__}") from exc
        msg = f"{type(exc).__name__}: {type(exc.__cause__).__name__}"
        raise ModelUnavailableError(msg) from exc
    except openai.APIStatusError as exc:
        raise classify_error_body(
            REDIRECT if 300 <= exc.status_code < 400 else exc.body,
            status=exc.status_code,
            retry_after=read_retry_after(exc.response.headers),
        ) from exc
    except (httpx2.RequestError, aiohttp.ClientError) as exc:
        # an error's body and a stream's are read outside the client's own mapping, and its transport lets
        # through what aiohttp says of a head or a body that is no HTTP
        raise ModelUnavailableError(type(exc).__name__) from exc
    except openai.APIError as exc:
        msg = f"{type(exc).__name__}: {exc.message}"
        raise BadAnswerError(msg) from exc


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
