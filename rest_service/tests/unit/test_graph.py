from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rest_service.app.repositories.graph import find_cycle

graphs = st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8)


def closes(edges, node):
    """Whether `node` can be reached from itself, by exhaustive search."""
    reached, waiting = set(), list(edges.get(node, ()))
    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached.add(at)
            waiting += edges.get(at, ())
    return node in reached


@given(graphs)
def test_a_cycle_is_found_exactly_where_there_is_one(edges):
    cycle = find_cycle(edges)
    assert bool(cycle) == any(closes(edges, node) for node in edges)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in edges[before] for before, after in pairwise(cycle))


def test_a_long_chain_does_not_exhaust_the_stack():
    chain = {number: [number + 1] for number in range(20_000)}
    assert find_cycle(chain) == []
    chain[20_000] = [0]
    assert len(find_cycle(chain)) == 20_002
