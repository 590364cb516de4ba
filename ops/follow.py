"""Log files on the terminal: their ends, and what is added, each line with the program's name."""

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

POLL = 0.3


def print_logs(files: Sequence[Path], *, follow: bool, lines: int) -> None:
    """Print the last `lines` of each file; `follow` until interrupted, across rotations."""
    width = max((len(path.stem) for path in files), default=0)
    opened = [_Tail(path, width) for path in files]
    try:
        for tail in opened:
            tail.print_last(lines)
        while follow:
            printed = [tail.print_new() for tail in opened]
            if not any(printed):
                time.sleep(POLL)
    except KeyboardInterrupt:
        return
    finally:
        for tail in opened:
            tail.close()


class _Tail:
    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._prefix = f"{path.stem:<{width}} | "
        self._file: BinaryIO | None = None

    def print_last(self, count: int) -> None:
        self._file = self._path.open("rb")
        for line in deque(self._file, maxlen=count):
            self._print(line)

    def print_new(self) -> bool:
        """Print what was added; whether there was anything."""
        if self._file is None or self._is_rotated():
            self.close()
            if not self._path.exists():
                return False
            self._file = self._path.open("rb")
        lines = self._file.readlines()
        for line in lines:
            self._print(line)
        return bool(lines)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _is_rotated(self) -> bool:
        if self._file is None or not self._path.exists():
            return False
        here, there = self._path.stat(), os.fstat(self._file.fileno())
        return here.st_ino != there.st_ino or here.st_size < self._file.tell()

    def _print(self, line: bytes) -> None:
        print(self._prefix + line.decode(errors="replace").rstrip("\n"), flush=True)
