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
from .errors import ModelError, ModelTimeoutError, ModelUnavailableError
from .model import ModelAnswer

log = get_logger(__name__)

T = TypeVar("T")

MAX_WAIT = 20.0
"""Seconds between two attempts, at most."""
FAIR_SHARE = 30.0
"""Seconds; who got less and said nothing did not fail: the message had used up its time before."""


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
        within: float | None = None,
    ) -> T:
        """What the first successful attempt returns; `provider` and `model` are for the log.

        Without `after_timeout` nothing is tried again after a ModelTimeoutError, which took long already.
        `within` is in seconds, for all attempts and waits together.

        Raises:
            ModelUnavailableError: the last attempt's, or one whose wait is too long.
            ModelTimeoutError: the time is over.
        """
        try:
            async with asyncio.timeout(within) as limit:
                return await self._tried(attempt, provider, model, after_timeout=after_timeout)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            msg = f"no answer in {within or 0:.1f} s, its share of the message's time"
            raise ModelTimeoutError(msg) from exc

    async def _tried(
        self, attempt: Callable[[], Awaitable[T]], provider: str, model: str, *, after_timeout: bool
    ) -> T:
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


def share_of_time(deadline: float | None, models: int) -> float | None:
    """Seconds for the first of so many models, if each shall have as many until `deadline`.

    None: as long as it takes, for nobody waits behind it. Needs a running event loop.
    """
    if deadline is None or models < 2:
        return None
    return max(0.0, deadline - asyncio.get_running_loop().time()) / models


def was_hurried(failure: ModelError, share: float | None) -> bool:
    """Whether it had too little time to be blamed."""
    return isinstance(failure, ModelTimeoutError) and share is not None and share < FAIR_SHARE


async def _measured(attempt: Callable[[], Awaitable[T]], provider: str, model: str) -> T:
    with metrics.model_call(provider, model) as call:
        answer = await attempt()
        if isinstance(answer, ModelAnswer):
            call.usage = answer.usage
        return answer
