import asyncio

import pytest

from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from assistant.src.core.retry import MAX_WAIT, Retrying, full_jitter


class Attempts:
    """Fails as told, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def outcome(attempts: Attempts, **how: bool) -> str:
    try:
        retrying = Retrying(3, backoff=lambda _attempt: 0.0)
        return await retrying(attempts, provider="p", model="m", **how)
    except ModelError as exc:
        return str(exc)


@pytest.mark.parametrize(
    "failure",
    [ModelUnavailableError("500"), ModelTimeoutError("hangs"), BadAnswerError("rubbish")],
    ids=lambda failure: type(failure).__name__,
)
async def test_what_may_pass_is_tried_again(failure):
    attempts = Attempts(failure, failure)
    assert (await outcome(attempts), attempts.count) == ("done", 3)


@pytest.mark.parametrize("failure", [ModelRefusedError("401"), ContextOverflowError("long")], ids=str)
async def test_what_cannot_pass_is_tried_once(failure):
    attempts = Attempts(failure)
    assert (await outcome(attempts), attempts.count) == (str(failure), 1)


async def test_the_last_failure_is_raised():
    attempts = Attempts(*(ModelUnavailableError(str(number)) for number in range(5)))
    assert (await outcome(attempts), attempts.count) == ("2", 3)


async def test_the_wait_asked_for_is_waited():
    started = asyncio.get_running_loop().time()
    assert await outcome(Attempts(ModelUnavailableError("429", retry_after=0.2))) == "done"
    assert asyncio.get_running_loop().time() - started >= 0.19


async def test_a_wait_that_is_too_long_is_not_waited():
    attempts = Attempts(ModelUnavailableError("429", retry_after=MAX_WAIT + 1))
    assert (await outcome(attempts), attempts.count) == ("429", 1)


async def test_what_took_long_is_not_tried_again_where_that_is_wanted():
    attempts = Attempts(ModelTimeoutError("hangs"))
    assert (await outcome(attempts, after_timeout=False), attempts.count) == ("hangs", 1)
    attempts = Attempts(ModelUnavailableError("500"))
    assert (await outcome(attempts, after_timeout=False), attempts.count) == ("done", 2)


def test_the_backoff_grows_and_is_bounded():
    for attempt in range(12):
        assert all(0.1 <= full_jitter(attempt) <= min(8.0, 2.0**attempt) + 0.1 for _ in range(50))
