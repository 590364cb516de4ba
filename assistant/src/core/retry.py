"""How often and how soon one thing is asked of a provider again.

Only ModelUnavailableError is worth another try: after exponential backoff with full jitter, or after
as long as the provider asked for. A wait above MAX_WAIT is not waited: the next fallback model, or the
friendly sentence, serves the user better.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service_kit.logging import get_logger

from . import metrics
from .errors import ModelTimeoutError, ModelUnavailableError
from .model import ModelAnswer

log = get_logger(__name__)

T = TypeVar("T")

MAX_WAIT = 20.0
"""Seconds between two attempts, at most."""


def full_jitter(attempt: int) -> float:
    """Seconds before the attempt after `attempt` (from 0): up to 1, 2, 4, 8, never under 0.1."""
    return 0.1 + random.random() * min(8.0, 2.0**attempt)  # noqa: S311 - jitter, not a secret


class Retrying:
    """Calls an attempt until it succeeds, fails for good, or the attempts are used up."""

    def __init__(self, attempts: int = 3, *, backoff: Callable[[int], float] = full_jitter) -> None:
        self._attempts = attempts
        self._backoff = backoff

    async def __call__(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        provider: str,
        model: str,
        after_timeout: bool = True,
    ) -> T:
        """What the first successful attempt returns; `provider` and `model` are for the log.

        Without `after_timeout` nothing is tried again after a ModelTimeoutError, which took long already.

        Raises:
            ModelUnavailableError: the last attempt's, or one whose wait is too long.
        """
        for number in range(self._attempts - 1):
            try:
                return await _measured(attempt, provider, model)
            except ModelUnavailableError as exc:
                wait = self._backoff(number) if exc.retry_after is None else exc.retry_after
                if wait > MAX_WAIT or (isinstance(exc, ModelTimeoutError) and not after_timeout):
                    raise
                log.info(
                    "model_retry",
                    provider=provider,
                    model=model,
                    attempt=number + 1,
                    wait_s=round(wait, 2),
                    reason=str(exc),
                )
            metrics.model_retried(provider, model)
            await asyncio.sleep(wait)
        return await _measured(attempt, provider, model)


async def _measured(attempt: Callable[[], Awaitable[T]], provider: str, model: str) -> T:
    with metrics.model_call(provider, model) as call:
        answer = await attempt()
        if isinstance(answer, ModelAnswer):
            call.usage = answer.usage
        return answer
