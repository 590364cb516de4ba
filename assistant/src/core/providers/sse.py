"""Server-sent events from a response's bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import NamedTuple

from . import bounds


class SSE(NamedTuple):
    """One event. `whole`: the server answered without streaming, and `data` is the whole body."""

    event: str
    """Its name; empty where the server gave none."""
    data: bytes
    whole: bool = False


def events_of_body(body: bytes) -> Iterator[SSE]:
    """The events of a whole body, for some servers stream unasked; one with `whole` where it is no stream.

    Raises:
        AnswerTooLargeError: an event is too long.
    """
    start = body.removeprefix(BOM_UTF8).lstrip()
    if not start.startswith((b"data:", b"event:", b":")):
        yield SSE("", start, whole=True)
        return
    decoder = SSEDecoder()
    yield from decoder.feed(start)
    yield from decoder.finish()


class SSEDecoder:
    """Fed with bytes as they arrive, gives the events that are complete and hold something.

    Works on bytes, for a split by `str.splitlines` would cut JSON at U+2028 and its like. Takes time and
    memory in proportion to what it is fed, however that is cut into chunks.
    """

    def __init__(self) -> None:
        self.lines = 0
        """Lines so far, comments included, without blank ones."""
        self._line: list[bytes] = []
        """The line that has not ended yet, in pieces."""
        self._size = 0
        """Bytes of the event that has not ended yet."""
        self._after_cr = False
        self._at_start = True
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[SSE]:
        """Events that `chunk` completes.

        Raises:
            AnswerTooLargeError: an event is too long.
        """
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")  # the second half of a line end
        self._after_cr = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            self._line.append(piece)
            # counted as it arrives: a line without an end would fill the memory
            self._size += len(piece)
            bounds.check_size(self._size, bounds.BODY, "bytes in one event")
            if piece.endswith((b"\n", b"\r")):
                yield from self._end_line()

    def finish(self) -> Iterator[SSE]:
        """The event that only the end of the stream ends: some servers leave out the last empty line."""
        yield from self._end_line()
        yield from self._end_event()

    def _end_line(self) -> Iterator[SSE]:
        line = b"".join(self._line).rstrip(b"\r\n")
        self._line = []
        if self._at_start:
            line = line.removeprefix(BOM_UTF8)
            self._at_start = False
        if not line:
            yield from self._end_event()
            return
        self.lines += 1
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._event = value.decode("utf-8", "replace")

    def _end_event(self) -> Iterator[SSE]:
        data = b"\n".join(self._data)
        if data.strip():
            yield SSE(self._event, data)
        self._event = ""
        self._data = []
        self._size = 0
