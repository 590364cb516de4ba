from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.model import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from assistant.src.storage.turns import dump_turn, load_turn, turn_of
from assistant.src.utils.tokens import estimate_tokens

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.sampled_from(["a", "b", "c"])
tool_calls = st.builds(ToolCall, id=ids, name=st.just("t"), arguments=texts)
messages = st.one_of(
    st.builds(UserMessage, text=texts),
    st.builds(ToolMessage, call_id=ids, text=texts),
    st.builds(
        AssistantMessage,
        text=texts,
        tool_calls=st.lists(tool_calls, max_size=3).map(tuple),
    ),
)


def assert_acceptable(turn: tuple[Message, ...]) -> None:
    """What providers demand: each call is followed by its result, no result stands alone."""
    open_calls: list[str] = []
    for message in turn:
        if isinstance(message, ToolMessage):
            assert message.call_id in open_calls
            open_calls.remove(message.call_id)
        else:
            assert open_calls == []
        if isinstance(message, AssistantMessage):
            open_calls = [call.id for call in message.tool_calls]
            assert message.text or open_calls
            assert len(set(open_calls)) == len(open_calls)
    assert open_calls == []


@given(st.lists(messages, max_size=8))
def test_whatever_is_stored_what_is_loaded_is_acceptable(stored):
    turn = load_turn(dump_turn(turn_of("k", "q", stored)))
    if turn is not None:
        assert_acceptable(turn.messages)
        assert isinstance(turn.messages[0], UserMessage)
        assert isinstance(turn.messages[-1], AssistantMessage)


@given(st.lists(st.lists(messages, max_size=6), max_size=4))
def test_a_whole_history_of_anything_is_acceptable(stored):
    turns = [load_turn(dump_turn(turn_of(f"k{n}", "q", one))) for n, one in enumerate(stored)]
    assert_acceptable(tuple(message for turn in turns if turn is not None for message in turn.messages))


WHOLE = (
    UserMessage("Привет"),
    AssistantMessage("", (ToolCall("a", "t", "{}"), ToolCall("b", "t", "{}"))),
    ToolMessage("a", "1"),
    ToolMessage("b", "2"),
    AssistantMessage("done"),
)


def test_a_whole_turn_comes_back_as_it_was():
    turn = turn_of("tg:1", "Привет", WHOLE)
    assert load_turn(dump_turn(turn)) == turn
    assert turn.answer == "done"


def test_an_orphaned_call_is_taken_out():
    turn = load_turn(dump_turn(turn_of("k", "q", [m for m in WHOLE if m != ToolMessage("b", "2")])))
    assert turn is not None
    assert turn.messages[1] == AssistantMessage("", (ToolCall("a", "t", "{}"),))
    assert turn.tokens < turn_of("k", "q", WHOLE).tokens


def test_what_only_the_run_itself_needs_is_not_stored():
    turn = turn_of("k", "q", [UserMessage("q"), AssistantMessage("a", opaque='["encrypted"]')])
    assert turn.messages[-1] == AssistantMessage("a")
    assert b"encrypted" not in dump_turn(turn)


def test_a_turn_larger_than_all_that_may_stay_is_question_and_answer():
    flood: list[Message] = [*WHOLE[:2], ToolMessage("a", "x" * 9000), *WHOLE[3:]]
    turn = turn_of("tg:1", "Привет", flood)
    assert turn.within(10_000) is turn
    assert turn.within(1000) == turn_of("tg:1", "Привет", [WHOLE[0], WHOLE[-1]])


def test_what_is_no_turn_is_none():
    for raw in (b"", b"{}", b"[]", b"\xff", b'{"v":2,"key":"k","asked":"q","messages":[],"tokens":1}'):
        assert load_turn(raw) is None
    assert load_turn(dump_turn(turn_of("k", "q", [UserMessage("only asked")]))) is None


def test_tokens_are_about_a_quarter_of_english_and_half_of_russian_letters():
    assert estimate_tokens("a" * 400) == 101
    assert estimate_tokens("ж" * 400) == 201
