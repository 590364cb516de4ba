import asyncio

import pytest

from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ModelRefusedError,
    ModelUnavailableError,
    UnknownProviderError,
)
from assistant.src.core.model import ModelRequest
from assistant.src.core.retry import MAX_WAIT, Retrying, full_jitter
from assistant.src.core.router import ModelResolver, ModelRouter
from assistant.tests.fakes import ScriptedBackend, said


def router_of(backend: ScriptedBackend, **more: ScriptedBackend) -> ModelRouter:
    resolver = ModelResolver(
        {"openai": backend, **more}, default_provider="openai", default_model="openai/big-1"
    )
    return ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0))


def request_of(*models: str) -> ModelRequest:
    return ModelRequest(models=models, instructions="x", messages=[])


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("default", "big-1"),
        ("openai/small-1", "small-1"),
        ("sandbox-demo", "sandbox-demo"),
        ("openai/meta/llama", "meta/llama"),
        ("llama3.2:1b", "llama3.2:1b"),
    ],
)
async def test_names_of_models(name, asked):
    backend = ScriptedBackend(said("hi"))
    await router_of(backend).complete(request_of(name))
    assert backend.requests[0].models == (asked,)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("meta-llama/m", r"known: openai\. .* is written 'openai/meta-llama/m'"),
        ("/m", "known: openai"),
        ("openai/", "names no model"),
    ],
)
async def test_an_unknown_provider_is_named(name, complaint):
    with pytest.raises(UnknownProviderError, match=complaint):
        await router_of(ScriptedBackend(said("hi"))).complete(request_of(name))


@pytest.mark.parametrize("failure", [ModelUnavailableError("500"), BadAnswerError("rubbish")], ids=str)
async def test_what_may_pass_is_tried_again(failure):
    backend = ScriptedBackend(failure, failure, said("at last"))
    assert (await router_of(backend).complete(request_of("m"))).text == "at last"


async def test_tries_are_counted():
    backend = ScriptedBackend(ModelUnavailableError("500"))
    with pytest.raises(ModelUnavailableError):
        await router_of(backend).complete(request_of("m"))
    assert len(backend.requests) == 3


@pytest.mark.parametrize("failure", [ModelRefusedError("401"), ContextOverflowError("long")], ids=str)
async def test_what_cannot_pass_is_tried_once(failure):
    backend = ScriptedBackend(failure)
    with pytest.raises(type(failure)):
        await router_of(backend).complete(request_of("m"))
    assert len(backend.requests) == 1


async def test_the_wait_asked_for_is_waited():
    backend = ScriptedBackend(ModelUnavailableError("429", retry_after=0.2), said("ok"))
    started = asyncio.get_running_loop().time()
    await router_of(backend).complete(request_of("m"))
    assert asyncio.get_running_loop().time() - started >= 0.19


async def test_a_wait_that_is_too_long_is_not_waited():
    backend = ScriptedBackend(ModelUnavailableError("429", retry_after=MAX_WAIT + 1), said("ok"))
    with pytest.raises(ModelUnavailableError):
        await router_of(backend).complete(request_of("m"))
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    "failure", [ModelUnavailableError("500"), ModelRefusedError("404")], ids=["unavailable", "refused"]
)
async def test_fallback_models_are_asked_in_order(failure):
    broken, other = ScriptedBackend(failure), ScriptedBackend(said("other"))
    router = router_of(broken, local=other)
    answer = await router.complete(request_of("m1", "nobody/m2", "local/m3", "m4"))
    assert answer.text == "other"
    assert {request.models for request in broken.requests} == {("m1",)}
    assert other.requests[0].models == ("m3",)


async def test_a_conversation_that_is_too_long_is_not_the_next_models():
    broken, other = ScriptedBackend(ContextOverflowError("long")), ScriptedBackend(said("other"))
    with pytest.raises(ContextOverflowError):
        await router_of(broken, local=other).complete(request_of("m1", "local/m2"))
    assert other.requests == []


def test_the_backoff_grows_and_is_bounded():
    for attempt in range(12):
        assert all(0.1 <= full_jitter(attempt) <= min(8.0, 2.0**attempt) + 0.1 for _ in range(50))
