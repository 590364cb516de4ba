import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    CutAnswerError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    NobodyListensError,
    UnknownProviderError,
)
from assistant.src.core.model import ModelAnswer, ModelRequest, TextSink
from assistant.src.core.routing import retry
from assistant.src.core.routing.retry import Retrying
from assistant.src.core.routing.router import COOLDOWN, ModelCooldowns, ModelResolver, ModelRouter
from assistant.tests.fakes import ScriptedBackend, said


def router_of(
    backend: ScriptedBackend, cooldowns: ModelCooldowns | None = None, **more: ScriptedBackend
) -> ModelRouter:
    resolver = ModelResolver(
        {"openai": backend, **more},
        default_provider="openai",
        default_model="openai/big-1",
        lacking={"gemini": "set GEMINI_API_KEY"},
    )
    return ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0), cooldowns)


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


async def test_a_model_alone_is_asked_again_whatever_it_did():
    backend = ScriptedBackend(ModelTimeoutError("hangs"), BadAnswerError("rubbish"), said("at last"))
    assert (await router_of(backend).complete(request_of("m"))).text == "at last"


async def test_a_model_that_hangs_is_not_waited_for_twice_where_there_is_another():
    hanging, other = ScriptedBackend(ModelTimeoutError("hangs")), ScriptedBackend(said("other"))
    await router_of(hanging, local=other).complete(request_of("m1", "local/m2"))
    assert len(hanging.requests) == 1


def answering_after(seconds: float) -> ScriptedBackend:
    async def slowly(_request: ModelRequest) -> ModelAnswer:
        await asyncio.sleep(seconds)
        return said("late")

    return ScriptedBackend(slowly)


async def test_each_model_gets_an_equal_share_of_the_time_that_is_left():
    hanging, also, last = answering_after(60), answering_after(60), answering_after(0.3)
    router = router_of(hanging, second=also, third=last)
    now = asyncio.get_running_loop().time()
    request = replace(request_of("m1", "second/m2", "third/m3"), deadline=now + 1.5)
    async with asyncio.timeout(10):
        answer = await router.complete(request)
    assert answer.text == "late"
    assert [len(backend.requests) for backend in (hanging, also, last)] == [1, 1, 1]
    assert asyncio.get_running_loop().time() - now >= 1.2


async def test_failures_one_after_the_other_take_no_more_than_the_share_either():
    failing, other = ScriptedBackend(ModelUnavailableError("busy", retry_after=15)), answering_after(0)
    router = router_of(failing, local=other)
    deadline = asyncio.get_running_loop().time() + 0.4
    async with asyncio.timeout(10):
        answer = await router.complete(replace(request_of("m1", "local/m2"), deadline=deadline))
    assert answer.text == "late"


async def test_the_only_model_has_all_the_time():
    slow = answering_after(0.2)
    request = replace(request_of("m"), deadline=asyncio.get_running_loop().time() + 0.1)
    assert (await router_of(slow).complete(request)).text == "late"


@pytest.mark.parametrize(("fair", "asked"), [(0.05, 1), (30.0, 2)], ids=["had time", "had no time"])
async def test_who_had_no_time_does_not_rest(monkeypatch, fair, asked):
    monkeypatch.setattr(retry, "FAIR_SHARE", fair)
    hanging, other = answering_after(60), ScriptedBackend(said("other"))
    router = router_of(hanging, local=other)
    for _ in range(2):
        deadline = asyncio.get_running_loop().time() + 0.2
        await router.complete(replace(request_of("m1", "local/m2"), deadline=deadline))
    assert len(hanging.requests) == asked


async def test_where_all_models_fail_for_now_they_are_asked_again_in_turn():
    busy = ModelUnavailableError("503")
    one, two = ScriptedBackend(*[busy] * 7, said("one")), ScriptedBackend(busy)
    deadline = asyncio.get_running_loop().time() + 60
    answer = await router_of(one, local=two).complete(
        replace(request_of("m1", "local/m2"), deadline=deadline)
    )
    assert (answer.text, len(one.requests), len(two.requests)) == ("one", 8, 6)


async def test_where_nobody_listens_at_any_address_the_message_does_not_wait_to_its_end(monkeypatch):
    monkeypatch.setattr(retry, "UNREACHABLE_WAIT", 0.0)
    one, two = (ScriptedBackend(NobodyListensError("no connection")) for _ in range(2))
    deadline = asyncio.get_running_loop().time() + 60
    with pytest.raises(NobodyListensError):
        await router_of(one, local=two).complete(replace(request_of("m1", "local/m2"), deadline=deadline))
    assert (len(one.requests), len(two.requests)) == (1, 1)


async def test_a_model_that_refuses_is_left_out_of_further_rounds_and_the_other_has_the_time():
    one = ScriptedBackend(ModelRefusedError("401"))
    two = ScriptedBackend(*[ModelUnavailableError("503")] * 10, said("two"))
    deadline = asyncio.get_running_loop().time() + 60
    answer = await router_of(one, local=two).complete(
        replace(request_of("m1", "local/m2"), deadline=deadline)
    )
    assert (answer.text, len(one.requests), len(two.requests)) == ("two", 1, 11)


async def test_rounds_end_with_the_time():
    busy = ModelUnavailableError("503", retry_after=60.0)
    one, two = ScriptedBackend(busy), ScriptedBackend(busy)
    deadline = asyncio.get_running_loop().time() + 30
    request = replace(request_of("m1", "local/m2"), deadline=deadline)
    with pytest.raises(ModelUnavailableError, match="503"):
        await router_of(one, local=two).complete(request)
    assert asyncio.get_running_loop().time() < deadline


async def test_the_log_says_who_failed_why_and_who_answers_instead():
    broken, other = ScriptedBackend(ModelRefusedError("401")), ScriptedBackend(said("other"))
    with capture_logs() as logs:
        await router_of(broken, local=other).complete(request_of("m1", "local/m2"))
    (record,) = [entry for entry in logs if entry["event"] == "fallback_model"]
    told = {name: record[name] for name in ("provider", "model", "failed", "reason")}
    assert told == {"provider": "local", "model": "m2", "failed": "openai/m1", "reason": "401"}


async def test_a_model_that_failed_rests_while_another_can_answer(monkeypatch):
    broken, other = ScriptedBackend(ModelUnavailableError("refused")), ScriptedBackend(said("other"))
    router = router_of(broken, local=other)
    await router.complete(request_of("m1", "local/m2"))
    await router.complete(request_of("m1", "local/m2"))
    assert (len(broken.requests), len(other.requests)) == (3, 2)
    with pytest.raises(ModelUnavailableError):
        await router.complete(request_of("m1"))  # alone it is asked all the same
    assert len(broken.requests) == 6
    later = asyncio.get_running_loop().time() + COOLDOWN
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: later)
    broken.steps = [said("back")]
    assert (await router.complete(request_of("m1", "local/m2"))).text == "back"


async def test_a_model_rests_for_all_routers_of_the_process():
    broken, other = ScriptedBackend(ModelUnavailableError("refused")), ScriptedBackend(said("other"))
    cooldowns = ModelCooldowns()
    for _ in range(2):
        await router_of(broken, cooldowns, local=other).complete(request_of("m1", "local/m2"))
    assert len(broken.requests) == 3


@pytest.mark.parametrize("failure", [BadAnswerError("rubbish"), ModelRefusedError("400")], ids=str)
async def test_a_model_does_not_rest_for_one_conversations_fault(failure):
    broken, other = ScriptedBackend(failure), ScriptedBackend(said("other"))
    router = router_of(broken, local=other)
    await router.complete(request_of("m1", "local/m2"))
    asked = len(broken.requests)
    await router.complete(request_of("m1", "local/m2"))
    assert len(broken.requests) == 2 * asked


async def test_a_provider_that_is_not_set_up_is_named_with_what_it_lacks():
    router = router_of(ScriptedBackend(said("hi")))
    with pytest.raises(UnknownProviderError, match="'gemini' is not set up: set GEMINI_API_KEY"):
        await router.complete(request_of("gemini/gemini-x"))


def test_the_window_of_a_model_by_its_name_in_a_row():
    windows = {("openai", "big-1"): 1000}
    resolver = ModelResolver(
        {"openai": ScriptedBackend()},
        default_provider="openai",
        default_model="big-1",
        window_of=lambda provider, model: windows.get((provider, model)),
    )
    assert [resolver.context_tokens(name) for name in ("default", "openai/big-1", "other")] == [
        1000,
        1000,
        None,
    ]


class NeverEnding:
    """Its streams lack their end."""

    def __init__(self) -> None:
        self.streamed: list[bool] = []

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        self.streamed.append(on_text is not None)
        if on_text is not None:
            raise CutAnswerError("no end")
        return said("Hello")


async def test_after_a_cut_stream_the_answer_comes_in_one_piece():
    backend = NeverEnding()
    resolver = ModelResolver({"openai": backend}, default_provider="openai", default_model="m")
    router = ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0))
    for _ in range(2):
        answer = await router.complete(request_of("m"), on_text=lambda _text: None)
        assert answer.text == "Hello"
    # the next message is streamed again: a connection may break once
    assert backend.streamed == [True, False, True, False]
