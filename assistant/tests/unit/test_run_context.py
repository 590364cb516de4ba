import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, ToolLoop
from assistant.src.core.model import UserMessage
from assistant.src.core.run_context import RunContext
from assistant.src.tools.base import Arguments
from assistant.tests.fakes import FunctionTool, ScriptedBackend, calls, context_of, said

CHOICE = ModelChoice(assistant_id="a", assistant="Secretary", models=("m",), instructions="Be brief.")


async def test_a_run_below_ends_before_the_run_above_must_answer():
    above = context_of(seconds=90)
    for _ in range(4):
        below = above.for_sub_assistant()
        assert below.deadline < above.tools_until
        assert asyncio.get_running_loop().time() < below.tools_until < below.deadline
        above = below


async def test_a_run_below_tells_the_user_nothing():
    assert replace(context_of(), on_text=print).for_sub_assistant().on_text is None


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=4), st.lists(st.integers(1, 99), min_size=1, max_size=4)
)
async def test_each_path_of_calls_has_a_key_of_its_own(one, other):
    def key(path: list[int]) -> str:
        context = context_of(message_id="tg:7")
        for number in path:
            context = context.for_call(number, repeated=True).for_sub_assistant()
        return context.key

    assert (key(one) == key(other)) is (one == other)


async def test_that_a_call_is_repeated_is_said_of_it_alone():
    context = context_of().for_call(1, repeated=True)
    assert context.repeated
    assert not context.for_sub_assistant().for_call(1).repeated


class Below(FunctionTool):
    """A sub-assistant whose own tool hangs."""

    def __init__(self) -> None:
        super().__init__("below", lambda: None, timeout=None)
        stuck = FunctionTool("stuck", lambda: asyncio.Event().wait(), timeout=None)
        self.backend = ScriptedBackend(calls(("stuck", {})), said("without it"))
        self.loop = ToolLoop(self.backend, CHOICE, [stuck], LoopLimits())

    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        return (await self.loop.run(UserMessage("do"), (), context.for_sub_assistant())).answer


async def test_what_hangs_deep_below_costs_only_itself():
    context = replace(context_of(), tools_until=asyncio.get_running_loop().time() + 0.3)
    above = ScriptedBackend(calls(("below", {})), lambda request: said(request.messages[-1].text))
    outcome = await ToolLoop(above, CHOICE, [Below()], LoopLimits()).run(UserMessage("hi"), (), context)
    assert outcome.answer == "without it"
