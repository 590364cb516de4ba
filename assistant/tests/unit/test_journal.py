import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from assistant.src.core.model import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from assistant.src.core.run_context import ModelUse, RunTotals
from assistant.src.storage.journal import (
    NO_ANSWER,
    NO_RESULT,
    RunJournal,
    load_journal,
    make_unfinished_turn,
)
from assistant.src.storage.turns import dump_turn, load_turn
from assistant.tests.unit.test_turns import assert_acceptable, messages

ASKED = "Remind me"
_any: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])

OPENING = UserMessage(f"<context>\n</context>\n\n{ASKED}")
CALLS = AssistantMessage("", (ToolCall("a", "t", "{}"), ToolCall("b", "t", "{}")), opaque='[{"r": 1}]')
ROUND = (CALLS, ToolMessage("a", "1"), ToolMessage("b", "2"))


def record(*noted: Message, asked: str = ASKED) -> bytes:
    return _any.dump_json({"asked": asked, "messages": noted, "v": 1})


@pytest.mark.parametrize(
    "noted",
    [
        (OPENING, CALLS),
        (OPENING, CALLS, ToolMessage("b", "2")),
        (OPENING, *ROUND),
        (OPENING, *ROUND, CALLS),
    ],
)
def test_a_run_goes_on_from_what_was_noted(noted):
    assert load_journal(record(*noted), ASKED)[0] == noted


async def test_what_was_used_until_a_note_is_noted_with_what_runs_before_had_used():
    kept: list[bytes] = []

    async def keep(noted: bytes) -> None:
        kept.append(noted)

    def use(calls: int) -> ModelUse:
        return ModelUse("id", "Secretary", "openai/demo", Usage(10 * calls, 5, 1), calls, 0.25)

    totals = RunTotals()
    totals.add_earlier("before", [use(2)])
    totals.add_earlier("before", [use(1)])  # an older note, of another journal
    totals.add(
        assistant_id="id", assistant="Secretary", model="openai/demo", usage=Usage(10, 5, 1), seconds=0.25
    )
    await RunJournal(ASKED, (), totals, keep).note([OPENING, CALLS])
    spent = {one.run: one.uses for one in load_journal(kept[0], ASKED)[1]}
    assert spent == {totals.run: (use(1),), "before": (use(2),)}
    assert load_journal(kept[0], ASKED)[0] == (OPENING, CALLS)


@pytest.mark.parametrize("raw", [None, b"{not json", record(OPENING, CALLS)])
def test_where_nothing_was_noted_nothing_was_used(raw):
    assert load_journal(raw, ASKED)[1] == ()


def test_what_the_provider_wants_back_is_kept():
    _, calls = load_journal(record(OPENING, CALLS), ASKED)[0]
    assert isinstance(calls, AssistantMessage)
    assert calls.opaque == CALLS.opaque


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"{not json",
        record(),
        record(CALLS),
        record(OPENING, OPENING),
        record(OPENING, ToolMessage("a", "1")),
        record(OPENING, AssistantMessage("the answer")),
        record(OPENING, CALLS, ToolMessage("a", "1"), CALLS),
        record(OPENING, CALLS, asked="something else"),
    ],
)
def test_of_anything_else_nothing_is_taken(raw):
    assert load_journal(raw, ASKED)[0] == ()


@given(st.lists(messages, max_size=6))
def test_an_unfinished_run_is_a_turn_that_providers_take(stored):
    turn = make_unfinished_turn("tg:1", record(OPENING, *stored))
    assert (turn is None) == (load_journal(record(OPENING, *stored), ASKED)[0] == ())
    if turn is not None:
        assert_acceptable(turn.messages)
        assert load_turn(dump_turn(turn)) == turn
        assert (turn.key, turn.asked, turn.answer) == ("unfinished:tg:1", ASKED, NO_ANSWER)


def test_calls_without_a_result_are_told_to_be_uncertain():
    turn = make_unfinished_turn("tg:1", record(OPENING, *ROUND, CALLS, ToolMessage("b", "4")))
    assert turn is not None
    assert [message.text for message in turn.messages[5:]] == [NO_RESULT, "4", NO_ANSWER]


@given(st.lists(messages, max_size=6))
def test_whatever_is_stored_only_the_last_round_may_be_open(stored):
    begun = load_journal(record(OPENING, *stored), ASKED)[0]
    last = max((n for n, one in enumerate(begun) if isinstance(one, AssistantMessage)), default=len(begun))
    assert_acceptable(begun[:last])
