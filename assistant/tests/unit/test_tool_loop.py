import asyncio
import json
import re
from dataclasses import replace

import pytest

from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, RunResult, ToolLoop
from assistant.src.assistants.tool_round import CALLS_PER_ROUND
from assistant.src.core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ModelUnavailableError,
    ToolExecutionError,
)
from assistant.src.core.model import (
    AssistantMessage,
    Message,
    ModelRequest,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from assistant.src.core.run_context import RunContext
from assistant.src.storage.turns import Turn, turn_of
from assistant.tests.fakes import FunctionTool, ScriptedBackend, calls, context_of, said

CHOICE = ModelChoice(assistant_id="a", assistant="Secretary", models=("m",), instructions="Be brief.")
TEXT = {"text": {"type": "string"}}


def loop_of(
    backend: ScriptedBackend, *tools: FunctionTool, rounds: int = 8, output_chars: int = 1000
) -> ToolLoop:
    return ToolLoop(backend, CHOICE, tools, LoopLimits(rounds, output_chars))


async def run(loop: ToolLoop, context: RunContext | None = None, history: tuple[Turn, ...] = ()) -> RunResult:
    return await loop.run(UserMessage("hi"), history, context or context_of())


def results(messages: tuple[Message, ...]) -> list[str]:
    return [message.text for message in messages if isinstance(message, ToolMessage)]


def sent_back(outcome: RunResult) -> ToolCall:
    """The first call, as the model's next request shows it."""
    message = outcome.messages[1]
    assert isinstance(message, AssistantMessage)
    return message.tool_calls[0]


def error_of(text: str) -> dict[str, str]:
    error: dict[str, str] = json.loads(text)["error"]
    return error


def assert_every_call_is_answered(messages: tuple[Message, ...]) -> None:
    asked = [c.id for m in messages if isinstance(m, AssistantMessage) for c in m.tool_calls]
    assert asked == [m.call_id for m in messages if isinstance(m, ToolMessage)]


async def test_an_answer_without_tools_is_the_answer():
    backend = ScriptedBackend(said("Hello"))
    outcome = await run(loop_of(backend))
    assert outcome.answer == "Hello"
    assert outcome.messages == (UserMessage("hi"), AssistantMessage("Hello"))
    assert backend.requests[0].instructions == "Be brief."


async def test_a_tools_result_goes_back_to_the_model():
    echo = FunctionTool("echo", lambda text: text.upper(), properties=TEXT, required=("text",))
    backend = ScriptedBackend(calls(("echo", {"text": "abc"})), said("done"))
    outcome = await run(loop_of(backend, echo))
    assert results(outcome.messages) == ["ABC"]
    assert list(backend.requests[1].messages) == list(outcome.messages[:-1])
    assert outcome.answer == "done"


async def test_parallel_calls_run_side_by_side_and_one_failure_leaves_the_others():
    together = asyncio.Barrier(2)

    async def meet() -> str:
        await together.wait()  # alone it would wait for ever
        return "met"

    def broken() -> str:
        raise ToolExecutionError("no luck")

    backend = ScriptedBackend(calls(("meet", {}), ("broken", {}), ("meet", {})), said("done"))
    outcome = await run(loop_of(backend, FunctionTool("meet", meet), FunctionTool("broken", broken)))
    first, failed, third = results(outcome.messages)
    assert (first, third) == ("met", "met")
    assert error_of(failed) == {"type": "failed", "message": "no luck"}
    assert_every_call_is_answered(outcome.messages)


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "hint"),
    [
        ("echo", '{"text": ', "invalid_input", "not JSON"),
        ("echo", "[1]", "invalid_input", "one JSON object"),
        ("echo", {}, "invalid_input", "'text' is a required property"),
        ("echo", {"text": 5}, "invalid_input", "text: 5 is not of type 'string'"),
        ("nothing", {}, "unknown_tool", "there are: echo"),
        ("echo", "[" * 100_000, "invalid_input", "not JSON"),
        ("echo", '{"text": NaN}', "invalid_input", "NaN is no number of JSON"),
    ],
)
async def test_a_wrong_call_is_explained_to_the_model(name, arguments, kind, hint):
    ran: list[str] = []
    echo = FunctionTool("echo", ran.append, properties=TEXT, required=("text",))
    backend = ScriptedBackend(calls((name, arguments)), said("sorry"))
    outcome = await run(loop_of(backend, echo))
    error = error_of(results(outcome.messages)[0])
    assert error["type"] == kind
    assert hint in error["message"]
    assert ran == []
    assert isinstance(json.loads(sent_back(outcome).arguments), dict)
    assert outcome.answer == "sorry"


@pytest.mark.parametrize("name", ["", "functions.echo", "x" * 100, "привет"])
async def test_a_name_that_no_server_takes_does_not_stay_in_the_history(name):
    outcome = await run(loop_of(ScriptedBackend(calls((name, {})), said("ok"))))
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", sent_back(outcome).name)
    assert error_of(results(outcome.messages)[0])["type"] == "unknown_tool"


@pytest.mark.parametrize(
    "name",
    [
        *("functions.echo", "default_api:echo", "default_api.echo", "tools/echo", "tools.functions.echo"),
        *("mcp__server__echo", "ns::echo", "Tool: echo", "echo()", "functions.echo:0", "ECHO", ' "echo" '),
        *("echo<|channel|>commentary", "functions.echo<|constrain|>json"),
    ],
)
async def test_a_name_with_something_around_it_is_that_of_the_known_tool(name):
    ran: list[str] = []

    def note(text: str) -> None:
        ran.append(text)

    echo = FunctionTool("echo", note, properties=TEXT)
    backend = ScriptedBackend(calls((name, {"text": "hi"})), said("ok"))
    outcome = await run(loop_of(backend, echo, FunctionTool("other", print)))
    assert (ran, sent_back(outcome).name) == (["hi"], "echo")


@pytest.mark.parametrize("name", ["CurrentTime", "current-time", "current time", "tools.CURRENT_TIME"])
async def test_a_name_in_another_spelling_is_that_of_the_known_tool(name):
    now = FunctionTool("current_time", lambda: "12:00")
    outcome = await run(loop_of(ScriptedBackend(calls((name, {})), said("ok")), now))
    assert (results(outcome.messages), sent_back(outcome).name) == (["12:00"], "current_time")


async def test_a_name_that_may_mean_either_of_two_tools_means_neither():
    ran: list[str] = []
    tools = [FunctionTool(name, ran.append) for name in ("echo", "tools_echo")]
    outcome = await run(loop_of(ScriptedBackend(calls(("tools.echo", {})), said("ok")), *tools))
    assert error_of(results(outcome.messages)[0])["type"] == "unknown_tool"


@pytest.mark.parametrize(
    "name", ["delete_echo", "echo.delete", "echoes", "an echo", "functions.", "x" * 10_000]
)
async def test_a_name_that_only_holds_that_of_a_tool_is_another(name):
    ran: list[str] = []
    loop = loop_of(ScriptedBackend(calls((name, {})), said("ok")), FunctionTool("echo", ran.append))
    outcome = await run(loop)
    assert error_of(results(outcome.messages)[0])["type"] == "unknown_tool"
    assert ran == []


async def test_a_bug_in_a_tool_shows_the_model_nothing_of_it():
    def bug() -> str:
        raise KeyError("secret internals")

    outcome = await run(loop_of(ScriptedBackend(calls(("bug", {})), said("ok")), FunctionTool("bug", bug)))
    assert "secret" not in results(outcome.messages)[0]
    assert error_of(results(outcome.messages)[0])["type"] == "failed"


async def test_a_slow_tool_is_stopped():
    stuck = FunctionTool("stuck", lambda: asyncio.Event().wait(), timeout=0.01)
    outcome = await run(loop_of(ScriptedBackend(calls(("stuck", {})), said("ok")), stuck))
    assert error_of(results(outcome.messages)[0])["type"] == "timeout"


async def test_a_tool_ends_with_the_time_for_tools_and_the_model_still_answers():
    context = replace(context_of(), tools_until=asyncio.get_running_loop().time() + 1.0)
    stuck = FunctionTool("stuck", lambda: asyncio.Event().wait(), timeout=None)
    backend = ScriptedBackend(calls(("stuck", {})), said("without it"))
    outcome = await run(loop_of(backend, stuck), context)
    assert error_of(results(outcome.messages)[0])["type"] == "timeout"
    assert outcome.answer == "without it"
    assert backend.requests[1].tool_choice == "none"


async def test_a_cancelled_run_takes_its_tools_along():
    began, ended = asyncio.Event(), asyncio.Event()

    async def stuck() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    loop = loop_of(ScriptedBackend(calls(("stuck", {}))), FunctionTool("stuck", stuck))
    running = asyncio.create_task(run(loop))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_long_results_are_cut():
    long = FunctionTool("long", lambda: "x" * 5000)
    outcome = await run(loop_of(ScriptedBackend(calls(("long", {})), said("ok")), long, output_chars=200))
    assert len(results(outcome.messages)[0]) == 200
    assert "5000 characters" in results(outcome.messages)[0]


async def test_after_the_last_round_the_model_must_answer():
    counted = FunctionTool("count", lambda n: n, properties={"n": {"type": "integer"}})

    def insist(request: ModelRequest):
        if request.tool_choice == "none":
            return said("enough")
        return calls(("count", {"n": len(request.messages)}))

    backend = ScriptedBackend(insist)
    outcome = await run(loop_of(backend, counted, rounds=3))
    assert outcome.answer == "enough"
    assert len(counted.contexts) == 3
    assert [request.tool_choice for request in backend.requests] == ["auto"] * 3 + ["none"]
    assert_every_call_is_answered(outcome.messages)


async def test_the_same_call_three_times_ends_the_calling():
    same = FunctionTool("same", lambda text: text, properties=TEXT)

    def insist(request: ModelRequest):
        return said("gave up") if request.tool_choice == "none" else calls(("same", '{ "text":"a" }'))

    outcome = await run(loop_of(ScriptedBackend(insist), same))
    assert len(same.contexts) == 2
    assert error_of(results(outcome.messages)[-1])["type"] == "limit"
    assert outcome.answer == "gave up"


async def test_the_same_unreadable_call_ends_the_calling_too():
    def insist(request: ModelRequest):
        return said("gave up") if request.tool_choice == "none" else calls(("same", "{broken"))

    outcome = await run(loop_of(ScriptedBackend(insist), FunctionTool("same", lambda: "x")))
    assert [error_of(text)["type"] for text in results(outcome.messages)] == ["invalid_input"] * 2 + ["limit"]


async def test_an_endless_loop_over_two_calls_ends():
    """A model that goes to and fro between two calls is stopped as one that stays with the same."""
    tool = FunctionTool("t", lambda n: n, properties={"n": {"type": "integer"}})

    def insist(request: ModelRequest):
        if request.tool_choice == "none":
            return said("gave up")
        return calls(("t", {"n": len(request.messages) // 2 % 2}))

    outcome = await run(loop_of(ScriptedBackend(insist), tool, rounds=50))
    assert len(tool.contexts) == 4
    assert outcome.answer == "gave up"


async def test_a_flood_of_calls_is_capped_and_answered():
    counted = FunctionTool("count", lambda n: n, properties={"n": {"type": "integer"}})
    flood = calls(*(("count", {"n": n}) for n in range(CALLS_PER_ROUND + 5)))
    outcome = await run(loop_of(ScriptedBackend(flood, said("ok")), counted))
    assert len(counted.contexts) == CALLS_PER_ROUND
    assert_every_call_is_answered(outcome.messages)


async def test_when_the_time_for_tools_is_over_the_model_must_answer():
    backend = ScriptedBackend(said("quick"))
    await run(loop_of(backend, FunctionTool("t", lambda: "x")), context_of(seconds=-1))
    assert backend.requests[0].tool_choice == "none"


async def test_a_model_that_calls_in_its_last_answer_is_asked_once_more_without_tools():
    def deaf(request: ModelRequest):
        return calls(("t", {})) if request.tools else said("all right")

    backend = ScriptedBackend(deaf)
    tool = FunctionTool("t", lambda: "x")
    outcome = await run(loop_of(backend, tool, rounds=1))
    assert outcome.answer == "all right"
    assert [(len(r.tools), r.tool_choice) for r in backend.requests] == [
        (1, "auto"),
        (1, "none"),
        (0, "none"),
    ]
    assert len(tool.contexts) == 1
    assert_every_call_is_answered(outcome.messages)


async def test_a_model_that_calls_tools_even_without_any_gives_no_answer():
    backend = ScriptedBackend(calls(("t", {})))
    with pytest.raises(BadAnswerError):
        await run(loop_of(backend, FunctionTool("t", lambda: "x"), rounds=1))
    assert len(backend.requests) == 3


async def test_a_text_beside_ignored_calls_is_taken():
    backend = ScriptedBackend(calls(("t", {})), calls(("t", {}), text="here you are"))
    outcome = await run(loop_of(backend, FunctionTool("t", lambda: "x"), rounds=1))
    assert outcome.answer == "here you are"
    assert_every_call_is_answered(outcome.messages)


async def test_every_call_has_a_key_of_its_own_and_the_same_in_a_repeat():
    async def keys() -> list[str]:
        tool = FunctionTool("t", lambda n: n, properties={"n": {"type": "integer"}})
        backend = ScriptedBackend(calls(("t", {"n": 1}), ("t", {"n": 2})), calls(("t", {"n": 3})), said("ok"))
        await run(loop_of(backend, tool), context_of(message_id="tg:7"))
        return [context.key for context in tool.contexts]

    assert await keys() == await keys() == ["tg:7:1", "tg:7:2", "tg:7:3"]


async def test_an_overflow_halves_the_history_and_repeats_no_tool():
    history = tuple(turn_of(f"k{n}", "q", [UserMessage(f"q{n}"), AssistantMessage("a")]) for n in range(8))
    tool = FunctionTool("t", lambda: "x")

    def full(request: ModelRequest):
        if any(message.text == "q4" for message in request.messages):
            raise ContextOverflowError("too long")
        used = any(isinstance(message, ToolMessage) for message in request.messages)
        return said("fits") if used else calls(("t", {}))

    outcome = await run(loop_of(ScriptedBackend(full), tool), history=history)
    assert outcome.answer == "fits"
    assert outcome.overflowed
    assert [turn.key for turn in outcome.history] == ["k6", "k7"]
    assert len(tool.contexts) == 1


async def test_an_overflow_without_history_is_the_callers():
    with pytest.raises(ContextOverflowError):
        await run(loop_of(ScriptedBackend(ContextOverflowError("too long"))))


async def test_a_provider_that_fails_is_the_callers():
    with pytest.raises(ModelUnavailableError):
        await run(loop_of(ScriptedBackend(ModelUnavailableError("500"))))


async def test_costs_are_added_up():
    context = context_of()
    await run(loop_of(ScriptedBackend(calls(("t", {})), said("ok")), FunctionTool("t", lambda: "x")), context)
    assert context.totals.usage == Usage(20, 10)
    assert (context.totals.model_calls, context.totals.tool_calls) == (2, 1)


async def test_tools_stand_in_the_same_order_however_they_were_linked():
    a, b = FunctionTool("a", lambda: "x"), FunctionTool("b", lambda: "x")
    one, two = ScriptedBackend(said("1")), ScriptedBackend(said("2"))
    await run(loop_of(one, a, b))
    await run(loop_of(two, b, a))
    assert one.requests[0].tools == two.requests[0].tools


async def test_text_is_told_as_it_arrives():
    heard: list[str] = []
    base = context_of()
    context = RunContext(
        user=base.user,
        message_id="tg:1",
        deadline=base.deadline,
        tools_until=base.tools_until,
        on_text=heard.append,
    )
    await run(loop_of(ScriptedBackend(said("Hello"))), context)
    assert heard == ["Hello"]
