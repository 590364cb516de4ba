import codecs
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.providers.sse import SSE, SSEDecoder

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


FORMS = {
    "LF": STREAM.replace(b"\r\n", b"\n"),
    "CR LF": STREAM.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "CR": STREAM.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "mixed": STREAM,
    "byte order mark": codecs.BOM_UTF8 + STREAM,
    "empty events": b"data:\n\ndata\n\n" + STREAM + b"\n\ndata: \n\n",
}


@given(st.sampled_from(sorted(FORMS)), st.sets(st.integers(0, 400)))
def test_events_do_not_depend_on_line_ends_nor_on_where_the_bytes_are_cut(form, cuts):
    stream = FORMS[form]
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert decoded([stream[a:b] for a, b in pairwise(places)]) == EVENTS


@pytest.mark.parametrize("form", FORMS)
def test_the_events_of_a_stream(form):
    assert decoded([FORMS[form]]) == EVENTS
    assert decoded([bytes([byte]) for byte in FORMS[form]]) == EVENTS
