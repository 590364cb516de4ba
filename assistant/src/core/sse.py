"""Server-sent events from a response's bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import Iterator
from typing import NamedTuple


class SSE(NamedTuple):
    """One event. `whole`: the server answered without streaming, and `data` is the whole body."""

    event: str
    """Its name; empty where the server gave none."""
    data: bytes
    whole: bool = False


class SSEDecoder:
    """Fed with bytes as they arrive, gives the events that are complete.

    Works on bytes, for a split by `str.splitlines` would cut JSON at U+2028 and its like.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[SSE]:
        """Events that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))

    def finish(self) -> Iterator[SSE]:
        """The event that only the end of the stream ends: some servers leave out the last empty line."""
        yield from self._line(self._rest.removesuffix(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[SSE]:
        if not line:
            if self._data:
                yield SSE(self._event, b"\n".join(self._data))
            self._event = ""
            self._data = []
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._event = value.decode("utf-8", "replace")
