from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.sse import SSE, SSEDecoder

STREAM = (
    b': a comment\n\nevent: response.created\r\nid: 1\r\ndata: {"a":\ndata: 1}\r\n\r\n\n'
    b"data:two\n\nretry: 5\n\ndata: with \xe2\x80\xa8 and \xc2\x85 in it\n\nevent: bare\n\ndata: [DONE]"
)
EVENTS = [
    SSE("response.created", b'{"a":\n1}'),
    SSE("", b"two"),
    SSE("", "with \u2028 and \x85 in it".encode()),
    SSE("", b"[DONE]"),
]


def decoded(chunks: list[bytes]) -> list[SSE]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.finish()]


def test_the_events_of_a_stream():
    assert decoded([STREAM]) == EVENTS


@given(st.sets(st.integers(0, len(STREAM))))
def test_events_do_not_depend_on_where_the_bytes_are_cut(cuts):
    places = [0, *sorted(cuts), len(STREAM)]
    assert decoded([STREAM[a:b] for a, b in pairwise(places)]) == EVENTS
