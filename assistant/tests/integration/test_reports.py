"""What a message leaves behind for operators: what it used, how it went, what could not be built."""

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio as aioredis
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from assistant.src.core import metrics
from assistant.src.core.errors import ModelRefusedError, ModelUnavailableError
from assistant.src.core.model import ModelRequest, ToolMessage, UserMessage
from assistant.src.core.routing.retry import Retrying
from assistant.src.core.routing.router import ModelResolver, ModelRouter
from assistant.src.services.usage import PENDING
from assistant.tests.fakes import ScriptedBackend, assistant_row, calls, said, tool_row, tree_of, user_row
from assistant.tests.integration.conftest import delivery_of
from assistant.tests.standin import RestStandIn
from service_kit.changes import Topic, announce
from service_kit.contracts.messages import OutgoingType
from service_kit.lifecycle import end_tasks
from service_kit.queue.base import Reject, RetryLater

pytestmark = pytest.mark.integration

KINDS = ("input", "cached", "output")


def planned() -> RestStandIn:
    root, planner = assistant_row(is_secretary=True), assistant_row("Planner")
    ask = tool_row("ask_planner", "sub_assistant", assistant_id=planner.id)
    return RestStandIn(user_row(), trees=[tree_of(root, planner, tools={root.id: [ask], planner.id: []})])


def asks_planner(request: ModelRequest) -> Any:
    if request.instructions == "You are Planner.":
        return said("pack")
    return (
        said("done")
        if isinstance(request.messages[-1], ToolMessage)
        else calls(("ask_planner", {"request": "plan"}))
    )


async def recorded(redis: aioredis.Redis) -> list[dict[str, Any]]:
    """What rest_service will store: of records with one id, the first."""
    records: dict[str, dict[str, Any]] = {}
    for raw in await redis.lrange(PENDING, 0, -1):
        record = json.loads(raw)
        records.setdefault(record["id"], record)
    return list(records.values())


def counted(name: str, **labels: str) -> float:
    """A sample of `/metrics`, 0 where there is none yet."""
    _kind, page = metrics.render_page()
    return sum(
        sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_each_assistant_is_charged_for_what_it_used(make_service, redis_client):
    service = await make_service(ScriptedBackend(asks_planner), planned())
    assert (await service.say("Plan", message_id="tg:5")).text == "done"
    records = await recorded(redis_client)
    assert {
        record["assistant"]: (record["model_calls"], record["input_tokens"], record["output_tokens"])
        for record in records
    } == {"Secretary": (2, 20, 10), "Planner": (1, 10, 5)}
    assert {(record["user_id"], record["message_id"], record["kind"]) for record in records} == {
        (1, "tg:5", "answer")
    }


async def test_a_failed_message_is_charged_too(make_service, redis_client):
    backend = ScriptedBackend(calls(("ask_planner", {"request": "x"})), said("plan"), ModelRefusedError("no"))
    service = await make_service(backend, planned())
    assert (await service.say("Plan")).type is OutgoingType.NOTICE
    assert {(r["assistant"], r["model_calls"]) for r in await recorded(redis_client)} == {
        ("Secretary", 1),
        ("Planner", 1),
    }


async def test_a_stored_answer_costs_nothing_more(make_service, redis_client):
    service = await make_service(ScriptedBackend(said("Hello")), planned())
    for _ in range(3):
        await service.say("Hi", message_id="tg:1")
    assert len(await recorded(redis_client)) == 1


async def test_a_second_try_is_charged_beside_the_first(make_service, redis_client):
    service = await make_service(ScriptedBackend(said("Hello")), planned())
    raw = b'{"id": "tg:1", "user_id": 1, "chat_id": 101, "text": "x"}'
    for attempt in range(2):
        await service.orchestrator.handle(delivery_of(raw, attempt))
        await redis_client.delete(*await redis_client.keys("conversation*"))
    ids = [record["id"] for record in await recorded(redis_client)]
    assert len(set(ids)) == len(ids) == 2


async def test_a_run_that_is_cut_off_is_charged_beside_the_one_that_follows(make_service, redis_client):
    asked = asyncio.Event()

    async def hang(_request: ModelRequest) -> Any:
        asked.set()
        await asyncio.Event().wait()

    asks = calls(("ask_planner", {"request": "x"}))
    service = await make_service(ScriptedBackend(asks, said("plan"), hang, said("Hello")), planned())
    cut_off = asyncio.create_task(service.say("Plan", message_id="tg:1"))
    await asked.wait()
    await end_tasks({cut_off})
    first = await recorded(redis_client)
    assert {(record["assistant"], record["model_calls"]) for record in first} == {
        ("Secretary", 1),
        ("Planner", 1),
    }
    assert (await service.say("Plan", message_id="tg:1")).text == "Hello"
    everything = await recorded(redis_client)
    assert len(everything) == 3
    assert sum(record["model_calls"] for record in everything) == 3


async def test_what_a_killed_process_has_used_is_charged_by_the_one_that_goes_on(make_service, redis_client):
    asked = asyncio.Event()

    async def hang(_request: ModelRequest) -> Any:
        asked.set()
        await asyncio.Event().wait()

    asks = calls(("ask_planner", {"request": "x"}))
    service = await make_service(ScriptedBackend(asks, said("plan"), hang, said("Hello")), planned())
    killed = asyncio.create_task(service.say("Plan", message_id="tg:1"))
    await asked.wait()
    await end_tasks({killed})
    await redis_client.delete(PENDING)  # what is killed says nothing
    assert (await service.say("Plan", message_id="tg:1")).text == "Hello"
    records = await recorded(redis_client)
    assert sorted((record["assistant"], record["model_calls"]) for record in records) == [
        ("Planner", 1),
        ("Secretary", 1),
        ("Secretary", 1),
    ]
    assert {record["message_id"] for record in records} == {"tg:1"}
    assert sum(record["input_tokens"] for record in records) == 30


async def test_a_message_that_is_cut_off_waits_and_is_no_bug(make_service):
    asked = asyncio.Event()

    async def hang(_request: ModelRequest) -> Any:
        asked.set()
        await asyncio.Event().wait()

    service = await make_service(ScriptedBackend(hang), planned())
    before = {name: counted("assistant_message_seconds_count", outcome=name) for name in ("waits", "broken")}
    cut_off = asyncio.create_task(service.say("Plan"))
    await asked.wait()
    await end_tasks({cut_off})
    after = {name: counted("assistant_message_seconds_count", outcome=name) for name in before}
    assert after == before | {"waits": before["waits"] + 1}


@pytest.mark.parametrize(
    ("step", "kind", "outcome"),
    [
        (said("Hello"), "message", "answered"),
        (said("Hello"), "reset", "reset"),
        (ModelUnavailableError("429"), "message", "failed"),
    ],
    ids=["answered", "reset", "failed"],
)
async def test_messages_are_counted_by_how_they_ended(make_service, step, kind, outcome):
    service = await make_service(ScriptedBackend(step), planned())
    before = counted("assistant_message_seconds_count", outcome=outcome)
    await service.say("Hi", kind=kind)
    assert counted("assistant_message_seconds_count", outcome=outcome) == before + 1
    assert counted("assistant_messages_running") == 0


@pytest.mark.parametrize(
    ("raw", "down", "error", "outcome"),
    [
        (b"{", False, Reject, "rejected"),
        (b'{"user_id": 1, "chat_id": 1, "text": "x"}', True, RetryLater, "waits"),
        (b'{"user_id": 1, "chat_id": 1, "text": "x"}', False, ZeroDivisionError, "broken"),
    ],
    ids=["rejected", "waits", "broken"],
)
async def test_what_does_not_end_in_a_reply_is_counted_too(make_service, raw, down, error, outcome):
    rest = planned()
    rest.down = down
    service = await make_service(ScriptedBackend(ZeroDivisionError("bug")), rest)
    before = counted("assistant_message_seconds_count", outcome=outcome)
    with pytest.raises(error):
        await service.orchestrator.handle(delivery_of(raw))
    assert counted("assistant_message_seconds_count", outcome=outcome) == before + 1


async def test_models_are_counted_by_name_and_outcome():
    rest, mended = ModelRefusedError("401", status=401), said("Hello")
    acme = ScriptedBackend(ModelUnavailableError("500"), ModelUnavailableError("500"), rest, mended)
    other = ScriptedBackend(said("Hello"))
    resolver = ModelResolver({"acme": acme, "other": other}, default_provider="acme", default_model="m")
    router = ModelRouter(resolver, Retrying(3, backoff=lambda _attempt: 0.0))
    request = ModelRequest(models=("m", "other/n"), instructions="", messages=[UserMessage("Hi")])
    for _ in range(2):
        await router.complete(request)
    calls = {
        outcome: counted("assistant_model_call_seconds_count", provider="acme", model="m", outcome=outcome)
        for outcome in ("ok", "unavailable", "refused")
    }
    assert calls == {"ok": 1, "unavailable": 2, "refused": 1}
    tokens = {kind: counted("assistant_model_tokens_total", provider="acme", kind=kind) for kind in KINDS}
    assert tokens == {"input": 10, "cached": 0, "output": 5}
    assert counted("assistant_model_retries_total", provider="acme") == 2
    assert counted("assistant_model_fallbacks_total", model="other/n") == 1


async def test_a_call_that_is_cut_off_is_counted_too():
    begun = asyncio.Event()

    async def call() -> None:
        with metrics.measure_model_call("slow", "m"):
            begun.set()
            await asyncio.Event().wait()

    before = counted("assistant_model_call_seconds_count", provider="slow", outcome="cancelled")
    calling = asyncio.create_task(call())
    await begun.wait()
    await end_tasks({calling})
    after = counted("assistant_model_call_seconds_count", provider="slow", outcome="cancelled")
    assert after == before + 1


def test_tools_are_counted_by_name_and_outcome():
    metrics.observe_tool_call("hammer", "ok", 0.01)
    assert counted("assistant_tool_call_seconds_count", tool="hammer", outcome="ok") == 1


async def test_branches_left_out_are_reported_until_they_are_mended(make_service, redis_client):
    root, planner = assistant_row(is_secretary=True), assistant_row("Planner")
    broken = tool_row("oracle", "telepathy")
    ask = tool_row("ask_planner", "sub_assistant", assistant_id=planner.id)
    rest = planned()
    alien = assistant_row("Alien", is_secretary=True, assistant_type="telepathy")
    rest.trees = [
        tree_of(alien),
        tree_of(root, planner, tools={root.id: [broken, ask], planner.id: [broken, tool_row()]}),
    ]
    service = await make_service(ScriptedBackend(said("Hello")), rest)
    with capture_logs() as logged:
        await service.orchestrator.initialize()
    (ready,) = [line for line in logged if line["event"] == "secretary_ready"]
    assert sorted(ready["left_out"]) == ["Alien", "Planner/oracle", "Secretary/oracle"]
    assert counted("assistant_configuration_left_out") == 3
    rest.trees = [tree_of(root, tools={root.id: []})]
    await announce(redis_client, Topic.CONFIGURATION)
    assert (await service.say("Hi")).text == "Hello"
    assert counted("assistant_configuration_left_out") == 0
