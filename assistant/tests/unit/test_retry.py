import asyncio
from typing import Any

import pytest

from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    CooldownError,
    CutAnswerError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    NobodyListensError,
)
from assistant.src.core.routing import retry
from assistant.src.core.routing.retry import LAST_WORD, MAX_WAIT, Retrying, full_jitter, share_of_time


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


class Hanging(Attempts):
    """Its failures are limits that end after `seconds`."""

    def __init__(self, seconds: float, *failures: Exception) -> None:
        super().__init__(*failures)
        self.seconds = seconds

    async def __call__(self) -> str:
        if self.failures:
            await asyncio.sleep(self.seconds)
        return await super().__call__()


async def outcome(attempts: Attempts, **how: Any) -> str:
    try:
        retrying = Retrying(3, backoff=lambda _attempt: 0.0)
        return await retrying(attempts, provider="p", model="m", **how)
    except ModelError as exc:
        return str(exc)


BUSY = ModelUnavailableError("503")


@pytest.mark.parametrize(
    "failure",
    [BUSY, ModelTimeoutError("hangs"), BadAnswerError("rubbish"), CutAnswerError("cut")],
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


@pytest.mark.parametrize("failure", [BUSY, CutAnswerError("cut")], ids=str)
async def test_the_only_model_is_tried_as_long_as_there_is_time(failure):
    attempts = Attempts(*[failure] * 20)
    assert (await outcome(attempts, within=60), attempts.count) == ("done", 21)


async def test_answers_that_are_paid_for_nothing_are_counted():
    rubbish = BadAnswerError("rubbish")
    attempts = Attempts(BUSY, rubbish, BUSY, rubbish, BUSY, rubbish)
    assert (await outcome(attempts, within=60), attempts.count) == ("rubbish", 6)


@pytest.mark.parametrize("how", [{}, {"within": 60}, {"within": 60, "alone": False}], ids=str)
async def test_who_was_not_let_through_has_not_tried(how):
    attempts = Attempts(*[CooldownError("left alone", retry_after=0.0)] * 20, BUSY, BUSY)
    assert (await outcome(attempts, **how), attempts.count) == ("done", 23)


async def test_where_another_model_could_answer_failures_are_counted():
    attempts = Attempts(*[BUSY] * 20)
    assert (await outcome(attempts, within=60, alone=False), attempts.count) == ("503", 3)


async def test_the_wait_asked_for_is_waited():
    started = asyncio.get_running_loop().time()
    assert await outcome(Attempts(ModelUnavailableError("429", retry_after=0.2))) == "done"
    assert asyncio.get_running_loop().time() - started >= 0.19


@pytest.mark.parametrize(
    ("wait", "how"),
    [(MAX_WAIT + 1, {"alone": False}), (30.0, {"within": 20.0})],
    ids=["another model could answer", "longer than the message has"],
)
async def test_a_wait_that_is_too_long_is_not_waited(wait, how):
    attempts = Attempts(ModelUnavailableError("429", retry_after=wait))
    assert (await outcome(attempts, **how), attempts.count) == ("429", 1)


def test_the_waits_of_those_who_were_told_the_same_differ():
    retrying = Retrying(3)
    waits = {retrying.wait_after(ModelUnavailableError("429", retry_after=7.0), 9) for _ in range(20)}
    assert len(waits) > 1
    assert all(7.0 < wait < 9.0 for wait in waits), "it is the provider that says how long"


async def test_zero_as_the_wait_asked_for_does_not_make_a_loop_without_waits():
    retrying = Retrying(3)
    assert retrying.wait_after(ModelUnavailableError("429", retry_after=0.0), 1) >= 0.1


async def test_what_took_long_is_not_tried_again_where_another_model_could_answer():
    attempts = Attempts(ModelTimeoutError("hangs"))
    assert (await outcome(attempts, alone=False), attempts.count) == ("hangs", 1)
    attempts = Attempts(BUSY)
    assert (await outcome(attempts, alone=False), attempts.count) == ("done", 2)


@pytest.mark.parametrize(("within", "tries"), [(0.5, 1), (60.0, 2)], ids=["less time", "more time"])
async def test_a_model_that_hung_is_asked_again_if_as_much_time_is_left_as_it_took(within, tries):
    attempts = Hanging(0.3, ModelTimeoutError("hangs"))
    said = "hangs" if tries == 1 else "done"
    assert (await outcome(attempts, within=within), attempts.count) == (said, tries)


async def test_a_later_try_ends_with_the_time_and_the_failure_is_the_one_before():
    async def forever() -> str:
        if not first.done():
            first.set_result(None)
            raise BUSY
        await asyncio.Event().wait()
        return "never"

    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(ModelUnavailableError, match="503"):
        async with asyncio.timeout(10):
            await Retrying(3, backoff=lambda _attempt: 0.0)(forever, provider="p", model="m", within=0.2)


def test_the_backoff_grows_and_is_bounded():
    for attempt in range(12):
        assert all(0.1 <= full_jitter(attempt) <= min(8.0, 2.0**attempt) + 0.1 for _ in range(50))


async def test_the_only_model_leaves_time_for_the_last_word():
    now = asyncio.get_running_loop().time()
    share = share_of_time(now + 90, 1)
    assert share == pytest.approx(90 - LAST_WORD, abs=0.5)
    assert share_of_time(None, 1) is None


async def test_where_nobody_listens_it_is_given_up_before_the_messages_time_is_over(monkeypatch):
    monkeypatch.setattr(retry, "UNREACHABLE_WAIT", 0.2)
    attempts = Attempts(*[NobodyListensError("no connection") for _ in range(1000)])
    retrying = Retrying(3, backoff=lambda _attempt: 0.05)
    with pytest.raises(NobodyListensError):
        await retrying(attempts, provider="p", model="m", within=60.0)
    assert 1 < attempts.count <= 5
