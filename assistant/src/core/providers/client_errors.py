"""The official client's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import httpx2
import openai

from ..errors import BadAnswerError, ModelUnavailableError
from .refusals import classify_error_body
from .retry_after import read_retry_after

REDIRECT = "a redirect, which is not followed; the provider's base URL must be the address it leads to"


@contextmanager
def translate_errors() -> Iterator[None]:
    """Around whatever the client or its connection does; see `refusals` for what a server refuses."""
    try:
        yield
    except openai.APIConnectionError as exc:  # its subclass APITimeoutError too
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
