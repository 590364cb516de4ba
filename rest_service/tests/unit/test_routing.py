import json

from hypothesis import given
from hypothesis import strategies as st

from rest_service.app.routing import nests_deeper

documents = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\', max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
        return 1 + max(map(depth, value), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(documents, st.integers(0, 6))
def test_the_depth_counts_brackets_outside_of_texts(document, limit):
    assert nests_deeper(json.dumps(document).encode(), limit) == (depth(document) > limit)


@given(st.binary(max_size=200))
def test_rubbish_is_survived(body):
    nests_deeper(body, 3)


def test_a_long_unfinished_text_takes_no_time():
    nests_deeper(b'"' + b"\\a[{" * 250_000, 3)
