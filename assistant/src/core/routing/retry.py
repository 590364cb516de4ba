"""The retry policy for one model.

Only ModelUnavailableError is retried: after exponential backoff with full jitter, and not before the time
that the provider asked for. Failures that cost next to nothing (no connection, 429, 5xx, an answer that is
cut off) are retried while the message has time: the user sees the bot typing. Where nobody listens, the time
is UNREACHABLE_WAIT: a wrong address does not get better. The number of attempts limits:

- bad answers, for the model has written them and they are paid,
- all failures while another model could answer, which serves the user better than a wait above MAX_WAIT,
- all failures of a request without a deadline.

A request that the provider never saw (CooldownError) is no attempt. A model that did not answer in time gets
another attempt only if as much time is left as the last one took.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service_kit.backoff import Backoff
from service_kit.logging import get_logger

from .. import metrics
from ..errors import (
    BadAnswerError,
    CooldownError,
    ModelError,
    ModelTimeoutError,
    ModelUnavailableError,
    NobodyListensError,
)
from ..model import ModelAnswer

log = get_logger(__name__)

T = TypeVar("T")

MAX_WAIT = 5.0
"""Seconds between two attempts, at most, where another model could answer."""
UNREACHABLE_WAIT = 20.0
"""Seconds in which an address where nobody listens is tried again: a model server restarts in that time."""
FAIR_SHARE = 30.0
"""Seconds. A model that got less and did not answer has not failed: others had used up the message's time."""
LAST_WORD = 1.0
"""Seconds of the message's time that are left to tell the user why there is no answer."""

_BACKOFF = Backoff(1.0, 8.0, jitter=1.0)


def full_jitter(attempt: int) -> float:
    """Seconds before the attempt after `attempt` (from 0): up to 1, 2, 4, 8, never under 0.1."""
    return 0.1 + _BACKOFF.delay_after(attempt)


class Retrying:
    """Calls an attempt until it succeeds, fails for good, or no further one is worth it.

    `attempts` is the number of those that are counted.
    """

    def __init__(self, attempts: int = 3, *, backoff: Callable[[int], float] = full_jitter) -> None:
        self._attempts = attempts
        self._backoff = backoff

    async def __call__(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        provider: str,
        model: str,
        alone: bool = True,
        within: float | None = None,
        repeat_bad_answers: bool = True,
    ) -> T:
        """What the first successful attempt returns; `provider` and `model` are for the log.

        `alone` tells that no other model could answer. `within` is in seconds, for all attempts and waits
        together; the first attempt of one that is alone is left to its own limits. `repeat_bad_answers`: see
        ModelRequest.

        Raises:
            ModelUnavailableError: the last attempt's.
            ModelTimeoutError: the time is over.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = None if within is None else loop.time() + within
        last: ModelUnavailableError | None = None
        failures: list[ModelUnavailableError] = []
        while True:
            started = loop.time()
            try:
                # a first attempt without a substitute has its own limits, whose errors say more
                async with asyncio.timeout_at(None if alone and last is None else until) as limit:
                    return await _measure(attempt, provider, model)
            except TimeoutError as exc:
                # a TimeoutError of the attempt's own is a bug, not the end of the time
                if not limit.expired():
                    raise
                # what went wrong before says more than that the time is over
                if alone and last is not None:
                    raise last from exc
                msg = f"no answer in {within or 0:.1f} s, its share of the message's time"
                raise ModelTimeoutError(msg) from exc
            except CooldownError as exc:
                last = exc
            except ModelUnavailableError as exc:
                last = exc
                failures.append(exc)
            wait = self.wait_after(last, len(failures))
            now = loop.time()
            left = None if until is None else until - now - wait
            if isinstance(last, BadAnswerError) and not repeat_bad_answers:
                raise last
            if isinstance(last, NobodyListensError) and has_waited_enough(began, wait):
                raise last
            if not self._is_worth_it(last, failures, wait, alone=alone, left=left, took=now - started):
                raise last
            log.info(
                "model_retry",
                provider=provider,
                model=model,
                attempt=len(failures),
                wait_s=round(wait, 2),
                reason=str(last),
            )
            metrics.count_retry(provider, model)
            await asyncio.sleep(wait)

    def wait_after(self, failure: ModelUnavailableError, failures: int) -> float:
        """Seconds until the next attempt, after so many failures.

        A provider names the same time to all who wait: jitter spreads them over a second.
        """
        if failure.retry_after is not None:
            return failure.retry_after + self._backoff(0)
        return self._backoff(failures - 1)

    def _is_worth_it(
        self,
        last: ModelUnavailableError,
        failures: list[ModelUnavailableError],
        wait: float,
        *,
        alone: bool,
        left: float | None,
        took: float,
    ) -> bool:
        """Whether another attempt is, `left` seconds before the time is over; the last one `took` so long."""
        counted = failures
        if alone and left is not None:
            counted = [failure for failure in failures if isinstance(failure, BadAnswerError)]
        if len(counted) >= self._attempts:
            return False
        if not alone and (wait > MAX_WAIT or isinstance(last, ModelTimeoutError)):
            return False
        # a slow model will be as slow again
        needed = took if isinstance(last, ModelTimeoutError) else 0.0
        return left is None or left > needed


def has_waited_enough(began: float, wait: float = 0.0) -> bool:
    """Whether an address where nobody listens is given up, asked since `began` (the event loop's clock)."""
    return asyncio.get_running_loop().time() + wait > began + UNREACHABLE_WAIT


def share_of_time(deadline: float | None, models: int) -> float | None:
    """Seconds for the first of so many models, if each shall have as many until `deadline`.

    None: as long as it takes, for nobody waits. Needs a running event loop.
    """
    if deadline is None:
        return None
    left = max(0.0, deadline - asyncio.get_running_loop().time())
    return left / models if models > 1 else max(left - LAST_WORD, left * 0.9)


def was_hurried(failure: ModelError, share: float | None) -> bool:
    """Whether the model had too little time to be blamed."""
    return isinstance(failure, ModelTimeoutError) and share is not None and share < FAIR_SHARE


async def _measure(attempt: Callable[[], Awaitable[T]], provider: str, model: str) -> T:
    try:
        with metrics.measure_model_call(provider, model) as call:
            answer = await attempt()
            if isinstance(answer, ModelAnswer):
                call.usage = answer.usage
            return answer
    except ModelError as exc:
        exc.model = f"{provider}/{model}"
        raise
