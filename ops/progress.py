"""Progress of long steps: one line that changes on a terminal, a line now and then elsewhere."""

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

QUIET_INTERVAL = 10.0
"""Seconds between two lines where the output is not a terminal (a CI log, a pipe)."""


class Progress:
    """A step with a title; a context manager. `update` may be called as often as one likes."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self.title = title
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._started = time.monotonic()
        self._render = self._started
        self._last = ""

    def __enter__(self) -> Self:
        self._print("…")
        return self

    def update(self, detail: str) -> None:
        """What the step is doing now."""
        now = time.monotonic()
        if detail == self._last and not self._live:
            return
        if self._live or now - self._render >= QUIET_INTERVAL:
            self._print(f": {detail}")
            self._render, self._last = now, detail

    def __exit__(
        self, kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        seconds = time.monotonic() - self._started
        self._print(f": {'done' if kind is None else 'failed'} ({seconds:.1f} s)")
        if self._live:
            print(file=self._stream, flush=True)

    def _print(self, rest: str) -> None:
        line = f"{self.title}{rest}"
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=self._stream, flush=True)
        else:
            print(line, file=self._stream, flush=True)
