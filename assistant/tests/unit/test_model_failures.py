"""What a failing provider costs the one who waits: router, protocol and connection together, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import ModelError, ModelRefusedError
from assistant.src.core.model import ModelRequest, UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.routing.retry import Retrying
from assistant.src.core.routing.router import ModelResolver, ModelRouter
from assistant.tests.standin import Reply, StandIn, chunk, completion, error, events

PATIENT = Timeouts(connect=30.0, first_token=30.0, stall=30.0, whole=30.0)
"""Never over in a test that passes, however busy the machine is."""
SHORT = Timeouts(connect=30.0, first_token=0.3, stall=0.3, whole=0.6)
"""For a server that hangs; one that answers may be too slow for them."""
ENOUGH = Timeouts(connect=30.0, first_token=1.5, stall=1.5, whole=3.0)
"""For a server that hangs, and answers later."""
HELLO = events(chunk("Hel"), chunk("lo"), chunk(finish="stop"))
BROKEN_OFF = events(chunk("Good mor"), done=False, missing=50)


@asynccontextmanager
async def models(*servers: StandIn, first: Timeouts = PATIENT) -> AsyncIterator[ModelRouter]:
    """A router over providers `one`, `two`, …; `first` are the timeouts of the first."""
    names = ("one", "two", "three")[: len(servers)]
    providers = {
        name: Provider(
            name,
            base_url=server.url,
            api_key="sk-test",
            timeouts=first if name == "one" else PATIENT,
            concurrency=8,
        )
        for name, server in zip(names, servers, strict=True)
    }
    resolver = ModelResolver(
        {name: ChatCompletionsBackend(provider) for name, provider in providers.items()},
        default_provider="one",
        default_model="m",
    )
    async with AsyncExitStack() as stack:
        for provider in providers.values():
            stack.push_async_callback(provider.aclose)
        yield ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0))


def asking(*names: str) -> ModelRequest:
    return ModelRequest(models=names, instructions="x", messages=[UserMessage("Hi")])


@pytest.mark.parametrize(
    "failure",
    [error(500), error(529), error(429, Retry_After="0"), Reply(b"<html>"), BROKEN_OFF, Reply(hang=True)],
    ids=["500", "529", "429", "rubbish", "broken off", "hang"],
)
async def test_two_failures_cost_time_but_no_answer(failure):
    told: list[str] = []
    timeouts = ENOUGH if failure.hang else PATIENT
    async with StandIn(failure, failure, HELLO) as server, models(server, first=timeouts) as router:
        answer = await router.complete(asking("m"), on_text=told.append)
    assert (answer.text, answer.model, told[-1]) == ("Hello", "one/m", "Hello")
    assert len(server.requests) == 3


async def test_an_answer_that_broke_off_begins_anew():
    told: list[str] = []
    async with StandIn(BROKEN_OFF, HELLO) as server, models(server) as router:
        await router.complete(asking("m"), on_text=told.append)
    assert told == ["Good mor", "Hel", "Hello"]


async def test_the_wait_that_a_provider_asks_for_is_kept():
    limited = error(429, Retry_After_Ms="250")
    async with StandIn(limited, completion("Hello")) as server, models(server) as router:
        started = asyncio.get_running_loop().time()
        await router.complete(asking("m"))
        assert asyncio.get_running_loop().time() - started >= 0.25


@pytest.mark.parametrize(
    "failure",
    [
        error(429, code="insufficient_quota", message="You exceeded your current quota"),
        error(401, message="Incorrect API key provided: sk-test"),
        error(404, code="model_not_found"),
        events(chunk("", finish="content_filter")),
    ],
    ids=["quota", "key", "model", "filter"],
)
async def test_what_will_not_pass_is_asked_once_and_then_the_next(failure):
    async with StandIn(failure) as one, StandIn(HELLO) as two, models(one, two) as router:
        answer = await router.complete(asking("m", "two/n"), on_text=lambda _text: None)
    assert (answer.text, answer.model) == ("Hello", "two/n")
    assert (len(one.requests), two.requests[0]["model"]) == (1, "n")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("failure", [Reply(hang=True), Reply(drip=True, length=10_000)], ids=["hang", "drip"])
async def test_who_hangs_is_left_for_the_next_after_one_timeout(failure, stream):
    async with (
        StandIn(failure) as one,
        StandIn(completion("Hello")) as two,
        models(one, two, first=SHORT) as router,
    ):
        answer = await router.complete(asking("m", "two/n"), on_text=(lambda _text: None) if stream else None)
    assert (answer.text, len(one.requests), len(two.requests)) == ("Hello", 1, 1)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_next_has_time_before_the_first_ones_timeout(stream):
    async with (
        StandIn(Reply(hang=True)) as one,
        StandIn(completion("Hello")) as two,
        models(one, two) as router,
    ):
        request = replace(asking("m", "two/n"), deadline=asyncio.get_running_loop().time() + 4.0)
        with capture_logs() as logs:
            answer = await router.complete(request, on_text=(lambda _text: None) if stream else None)
    assert (answer.text, len(one.requests)) == ("Hello", 1)
    (reason,) = [entry["reason"] for entry in logs if entry["event"] == "fallback_model"]
    assert reason.endswith("its share of the message's time")


async def test_all_fail():
    async with StandIn(error(500)) as one, StandIn(error(400)) as two, models(one, two) as router:
        with pytest.raises(ModelRefusedError):
            await router.complete(asking("m", "two/n"))
        assert (len(one.requests), len(two.requests)) == (3, 1)


async def test_many_failures_leave_nothing_behind():
    """Slots and connections come back whatever happens, cancellation included."""

    async def one(router: ModelRouter, number: int) -> None:
        try:
            async with asyncio.timeout(0.05 if number % 3 == 0 else 30):
                await router.complete(asking("m"), on_text=(lambda _text: None) if number % 2 else None)
        except (ModelError, TimeoutError):
            pass

    replies = [error(500), HELLO, BROKEN_OFF, Reply(hang=True), completion("x"), error(401)] * 4
    async with StandIn(*replies, completion("Hello")) as server, models(server, first=ENOUGH) as router:
        for _ in range(5):
            await asyncio.gather(*(one(router, number) for number in range(20)))
        answers = await asyncio.gather(*(router.complete(asking("m")) for _ in range(50)))
    assert {answer.text for answer in answers} == {"Hello"}
