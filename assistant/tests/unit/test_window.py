import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.errors import ContextOverflowError
from assistant.src.storage.window import (
    HARD_LIMIT,
    MAX_TURNS,
    SHARE_AFTER_COMPACTION,
    Budget,
    budget_of,
    count_after_compaction,
    count_after_forced_cut,
    count_within,
    exceeds_budget,
)

sizes = st.lists(st.integers(1, 500), max_size=60)
budgets = st.integers(1, 5000)


@given(sizes, st.integers(0, 5000))
def test_as_many_as_fit_and_no_more(turns, tokens):
    count = count_within(turns, tokens)
    newest = turns[len(turns) - count :]
    assert sum(newest) <= tokens
    assert count == len(turns) or sum(newest) + turns[len(turns) - count - 1] > tokens


@given(sizes.filter(bool), budgets)
def test_after_a_fold_none_exceeds_budget_unless_one_turn_alone_is_too_much(turns, budget):
    kept = turns[-count_after_compaction(turns, budget) :]
    assert kept
    assert sum(kept) <= budget * SHARE_AFTER_COMPACTION or len(kept) == 1


@given(sizes.filter(bool), budgets)
def test_force_comes_later_than_folds_and_leaves_what_the_budget_holds(turns, budget):
    keep = count_after_forced_cut(turns, budget)
    if keep is None:
        assert sum(turns) <= budget * HARD_LIMIT
        return
    assert exceeds_budget(turns, budget)
    assert 1 <= keep <= len(turns)
    assert sum(turns[-keep:]) <= budget or keep == 1


def test_however_short_turns_are_they_are_bounded():
    assert not exceeds_budget([1] * MAX_TURNS, 10**6)
    assert exceeds_budget([1] * (MAX_TURNS + 1), 10**6)
    assert count_after_compaction([1] * (MAX_TURNS + 1), 10**6) == MAX_TURNS
    assert count_after_forced_cut([1] * (MAX_TURNS + 1), 10**6) is None
    assert count_after_forced_cut([1] * (MAX_TURNS * HARD_LIMIT + 1), 10**6) == MAX_TURNS


def test_a_window_that_nobody_knows_leaves_the_budget_alone():
    budget = budget_of(16_000, window=None, fixed=500, output=None)
    assert budget == Budget(16_000)
    assert budget.for_history(10**9) == 16_000 * HARD_LIMIT


def test_a_large_window_leaves_the_budget_alone():
    budget = budget_of(16_000, window=1_000_000, fixed=500, output=None)
    assert budget.history == 16_000
    assert budget.for_history(100) == 16_000 * HARD_LIMIT


@given(
    st.integers(1, 100_000),
    st.integers(1, 50_000),
    st.integers(0, 60_000),
    st.none() | st.integers(1, 60_000),
    st.integers(1, 60_000),
)
def test_whatever_is_sent_fits_the_window(history, window, fixed, output, message):
    budget = budget_of(history, window=window, fixed=fixed, output=output)
    assert 1 <= budget.history <= history
    sent = budget.for_history(message)
    try:
        budget.check(message)
    except ContextOverflowError:
        assert sent == 0
        assert message + fixed + (output or window // 4) > window or message + fixed > window - 4096
    else:
        assert 0 <= sent <= history * HARD_LIMIT
        assert message + sent + fixed + (output or 0) <= window


def test_a_message_that_is_too_long_is_not_asked():
    budget = budget_of(16_000, window=4096, fixed=96, output=1000)
    budget.check(3000)
    assert budget.for_history(2900) == 0
    with pytest.raises(ContextOverflowError, match="3001 tokens; the model takes 3000"):
        budget.check(3001)
