import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from assistant.src.core.model import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from assistant.src.storage.journal import load_run
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
    assert load_run(record(*noted), ASKED) == noted


def test_what_the_provider_wants_back_is_kept():
    _, calls = load_run(record(OPENING, CALLS), ASKED)
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
    assert load_run(raw, ASKED) == ()


@given(st.lists(messages, max_size=6))
def test_whatever_is_stored_only_the_last_round_may_be_open(stored):
    begun = load_run(record(OPENING, *stored), ASKED)
    last = max((n for n, one in enumerate(begun) if isinstance(one, AssistantMessage)), default=len(begun))
    assert_acceptable(begun[:last])
