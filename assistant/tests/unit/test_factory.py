from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import redis.asyncio as aioredis
from structlog.testing import capture_logs

from assistant.src.assistants.base import BaseAssistant
from assistant.src.assistants.factory import (
    ASSISTANT_TYPES,
    AssistantBuilder,
    AssistantFactory,
    AssistantSite,
    Limits,
)
from assistant.src.assistants.llm_chat import LLMChat
from assistant.src.assistants.memory import Memories
from assistant.src.assistants.openai_assistant import OpenAIAssistant
from assistant.src.assistants.secretary import SecretaryLLMChat
from assistant.src.assistants.sub_assistant import SubAssistantLLMChat
from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, ToolLoop
from assistant.src.core.errors import (
    BrokenRowError,
    InvalidInputError,
    ToolExecutionError,
    UnknownAssistantTypeError,
)
from assistant.src.core.model import ToolCall, UserMessage
from assistant.src.core.run_context import RunContext
from assistant.src.storage.conversation import ConversationStore
from assistant.src.tools.rest_service_tool import RestServiceTool
from assistant.src.tools.sub_assistant_tool import SubAssistantTool
from assistant.src.tools.time_tool import TimeTool
from assistant.tests.fakes import (
    FunctionTool,
    ScriptedBackend,
    assistant_row,
    context_of,
    link_row,
    openai_services,
    said,
    tool_row,
    tool_services,
    tree_of,
)
from service_kit.contracts.assistants import AssistantRead, AssistantTree


def factory_of(depth: int = 4, types: Mapping[str, AssistantBuilder] = ASSISTANT_TYPES) -> AssistantFactory:
    unused = Memories(ConversationStore(aioredis.Redis(), retention_s=1))
    return AssistantFactory(
        backend=ScriptedBackend(said("hi")),
        openai=openai_services(),
        memories=unused,
        limits=Limits(depth=depth),
        services=tool_services(),
        types=types,
    )


def built(tree: AssistantTree, depth: int = 4) -> LLMChat:
    assistant = factory_of(depth).create_main_assistant(tree)
    assert isinstance(assistant, SecretaryLLMChat)
    return assistant


def names(assistant: LLMChat) -> set[str]:
    return {tool.name for tool in assistant.tools}


def ask(target: Any) -> Any:
    return tool_row(f"ask_{target.name}", "sub_assistant", assistant_id=target.id)


def test_a_secretary_with_tools_and_sub_assistants():
    root, planner = assistant_row("Secretary"), assistant_row("Planner")
    time, planning = tool_row(), ask(planner)
    secretary = built(tree_of(root, planner, tools={root.id: [time, planning], planner.id: [time]}))
    kinds = {tool.name: tool for tool in secretary.tools}
    assert isinstance(kinds["current_time"], TimeTool)
    assert kinds["current_time"].description == time.description
    below = kinds["ask_Planner"]
    assert isinstance(below, SubAssistantTool)
    assert isinstance(below.assistant, SubAssistantLLMChat)
    assert names(below.assistant) == {"current_time"}


@pytest.mark.parametrize(
    "broken",
    [
        {"tool_type": "telepathy"},
        {"tool_type": "calendar"},
        {"input_schema": "{"},
        {"input_schema": "[]"},
        {"input_schema": '{"type": "string"}'},
        {"input_schema": '{"type": "object", "properties": 5}'},
        {"tool_type": "sub_assistant"},
        {"tool_type": "sub_assistant", "assistant_id": UUID(int=7)},
        {"is_active": False},
    ],
    ids=str,
)
def test_a_broken_tool_is_left_out(broken):
    root = assistant_row()
    bad = tool_row("bad", **{"tool_type": "time", **broken})
    assert names(built(tree_of(root, tools={root.id: [bad, tool_row()]}))) == {"current_time"}


async def test_a_description_too_long_for_the_provider_is_cut_once():
    root = assistant_row()
    long = tool_row("long", description="x" * 1025)
    with capture_logs() as logs:
        secretary = built(tree_of(root, tools={root.id: [long, tool_row("fits", description="y" * 1024)]}))
        backend = ScriptedBackend(said("hi"))
        choice = ModelChoice("a", "A", ("m",), "x")
        loop = ToolLoop(backend, choice, secretary.tools, LoopLimits())
        for _ in range(2):
            await loop.run(UserMessage("Hi"), (), context_of())
    fits, cut = backend.requests[-1].tools
    assert (fits.description, cut.description) == ("y" * 1024, "x" * 1023 + "…")
    assert [entry["tool"] for entry in logs if entry["event"] == "tool_description_cut"] == ["long"]


def test_an_inactive_link_is_no_link():
    root, time = assistant_row(), tool_row()
    link = link_row(root.id, time.id, is_active=False)
    tree = AssistantTree(root_id=root.id, assistants=[root], tools=[time], links=[link])
    assert names(built(tree)) == set()


def test_a_branch_of_an_unknown_type_is_left_out():
    root, other = assistant_row(), assistant_row("Other", assistant_type="oracle")
    assert names(built(tree_of(root, other, tools={root.id: [ask(other), tool_row()]}))) == {"current_time"}


def test_a_sub_assistant_of_another_type_with_a_model_of_its_own():
    root = assistant_row("Root", model="other/large")
    sub = assistant_row(
        "Sub", assistant_type="openai_api", model="openai/small", openai_assistant_id="asst_1"
    )
    secretary = built(tree_of(root, sub, tools={root.id: [ask(sub)], sub.id: [tool_row()]}))
    (below,) = secretary.tools
    assert isinstance(below, SubAssistantTool)
    assert isinstance(below.assistant, OpenAIAssistant)
    assert (below.assistant.model, below.assistant.assistant_id) == ("openai/small", str(sub.id))
    assert [tool.name for tool in below.assistant.tools] == ["current_time"]


def test_a_secretary_of_another_type_with_sub_assistants_of_both():
    root = assistant_row("Root", assistant_type="openai_api")
    one, two = assistant_row("One"), assistant_row("Two", assistant_type="openai_api")
    tree = tree_of(root, one, two, tools={root.id: [ask(one), ask(two)], one.id: [ask(two)]})
    secretary: Any = factory_of().create_main_assistant(tree)
    assert isinstance(secretary, OpenAIAssistant)
    asked: Any = secretary.tools
    kinds = {tool.name: tool.assistant for tool in asked}
    assert isinstance(kinds["ask_One"], SubAssistantLLMChat)
    assert isinstance(kinds["ask_Two"], OpenAIAssistant)
    (deeper,) = kinds["ask_One"].tools
    assert isinstance(deeper, SubAssistantTool)
    assert deeper.assistant is kinds["ask_Two"]


def test_what_is_left_out_is_told_from_every_level():
    root, sub = assistant_row("Root", assistant_type="openai_api"), assistant_row("Sub")
    oracle, bad = assistant_row("Oracle", assistant_type="oracle"), tool_row("bad", input_schema="{")
    tree = tree_of(root, sub, oracle, tools={root.id: [ask(sub), bad], sub.id: [ask(oracle), tool_row()]})
    left_out: list[str] = []
    secretary: Any = factory_of().create_main_assistant(tree, left_out)
    assert sorted(left_out) == ["Root/bad", "Sub/ask_Oracle"]
    assert names(secretary.tools[0].assistant) == {"current_time"}


def test_a_type_of_ones_own():
    class Parrot(BaseAssistant):
        async def answer(self, message: str, context: RunContext) -> str:
            return message

    def parrot(row: AssistantRead, site: AssistantSite) -> BaseAssistant:
        return Parrot(assistant_id=str(row.id), name=row.name)

    root = assistant_row("Polly", assistant_type="parrot")
    factory = factory_of(types={**ASSISTANT_TYPES, "parrot": parrot})
    assert isinstance(factory.create_main_assistant(tree_of(root)), Parrot)


def test_a_root_of_an_unknown_type_is_an_error():
    with pytest.raises(UnknownAssistantTypeError, match="oracle"):
        built(tree_of(assistant_row(assistant_type="oracle")))


def test_an_inactive_root_is_an_error():
    with pytest.raises(BrokenRowError):
        built(tree_of(assistant_row(is_active=False)))


def test_a_circle_is_cut():
    a, b = assistant_row("A"), assistant_row("B")
    secretary = built(tree_of(a, b, tools={a.id: [ask(b)], b.id: [ask(a), tool_row()]}))
    (below,) = secretary.tools
    assert isinstance(below, SubAssistantTool)
    assert isinstance(below.assistant, LLMChat)
    assert names(below.assistant) == {"current_time"}


def test_the_depth_is_limited():
    chain = [assistant_row(f"A{n}") for n in range(5)]
    tools = {upper.id: [ask(lower)] for upper, lower in pairwise(chain)}
    assistant: Any = built(tree_of(*chain, tools=tools), depth=2)
    depth = 0
    while assistant.tools:
        assistant = assistant.tools[0].assistant
        depth += 1
    assert depth == 2


def test_a_shared_sub_assistant_is_built_once():
    root, left, right, shared = (assistant_row(name) for name in ("Root", "Left", "Right", "Shared"))
    tools = {root.id: [ask(left), ask(right)], left.id: [ask(shared)], right.id: [ask(shared)]}
    secretary: Any = built(tree_of(root, left, right, shared, tools=tools))
    one, two = (tool.assistant.tools[0].assistant for tool in secretary.tools)
    assert one is two


def test_a_link_may_name_another_sub_assistant():
    root, one, two = assistant_row(), assistant_row("One"), assistant_row("Two")
    tool = ask(one)
    link = link_row(root.id, tool.id, sub_assistant_id=two.id)
    tree = AssistantTree(root_id=root.id, assistants=[root, one, two], tools=[tool], links=[link])
    secretary: Any = built(tree)
    assert secretary.tools[0].assistant.name == "Two"


async def test_the_depth_is_limited_at_run_time_too():
    sub = built(tree_of(assistant_row()))
    tool = SubAssistantTool(sub, max_depth=1)
    with pytest.raises(ToolExecutionError, match="only 1 deep"):
        await tool.execute({"request": "x"}, context_of().for_sub_assistant())


async def test_a_tool_bound_to_a_user_refuses_others():
    tool = SubAssistantTool(built(tree_of(assistant_row())), user_id=1)
    with pytest.raises(ToolExecutionError):
        await tool.execute({"request": "x"}, context_of(2))


async def test_a_context_of_another_user_is_refused():
    with pytest.raises(ValueError, match="another user"):
        await built(tree_of(assistant_row())).process_message("hi", 1, context_of(2))


def test_a_schema_never_fetches_from_the_network():
    tool = FunctionTool("t", lambda: "x", properties={"a": {"$ref": "http://127.0.0.1:1/schema.json"}})
    with pytest.raises(ToolExecutionError, match="not there"):
        tool.check({"a": 1})


def test_many_problems_are_told_briefly():
    tool = FunctionTool("t", lambda: "x", required=tuple("abcdefgh"))
    with pytest.raises(InvalidInputError) as raised:
        tool.check({})
    named = [problem.split()[0] for problem in str(raised.value).split("; ")]
    assert named == ["'a'", "'b'", "'c'", "'d'", "'e'"]


@pytest.mark.parametrize("kind", ["llm", "openai_api"])
async def test_a_call_with_an_effect_is_remembered_when_the_tree_is_built_anew(monkeypatch, kind):
    class Effect(FunctionTool):
        has_effect = True

    factory, effect = factory_of(), Effect("remind", lambda: "set")
    monkeypatch.setattr(RestServiceTool, "to_tool", lambda _self: effect)
    context = context_of().for_call(1)
    for instructions in ("Be brief.", "Speak like a pirate."):
        root = assistant_row(instructions=instructions, assistant_type=kind)
        secretary: Any = factory.create_main_assistant(tree_of(root, tools={root.id: [tool_row("remind")]}))
        assert (await secretary._loop.call(ToolCall("c", "remind", "{}"), context)).text == "set"
    assert len(effect.contexts) == 1
