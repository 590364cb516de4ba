"""Counts a process's calls of the suite's own functions; tests/load/question_path.py puts it on PYTHONPATH.

SIGUSR1 begins to count anew, SIGUSR2 writes what was counted to $TRACE_FILE: `{"file:function": calls}`. A
coroutine counts once, however often it is resumed.
"""

import dis
import json
import os
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = os.getcwd() + "/"  # noqa: PTH109 - the process is started in the checkout
calls: Counter[str] = Counter()


@cache
def begins_at(code: CodeType) -> int | None:
    """Where a call of `code` begins, behind which a resumed coroutine goes on; None: not the suite's code."""
    if not code.co_filename.startswith(ROOT) or "/.local/" in code.co_filename:
        return None
    return next(step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")


def note(frame: FrameType, event: str, _arg: Any) -> None:
    """One event of `sys.setprofile`."""
    if event == "call" and frame.f_lasti == begins_at(frame.f_code):
        calls[f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_code.co_qualname}"] += 1


def write(*_: object) -> None:
    """Write what was counted, whole or not at all."""
    target = Path(os.environ["TRACE_FILE"])
    target.with_suffix(".part").write_text(json.dumps(calls), "utf-8")
    target.with_suffix(".part").rename(target)


if "TRACE_FILE" in os.environ:
    signal.signal(signal.SIGUSR1, lambda *_: calls.clear())
    signal.signal(signal.SIGUSR2, write)
    sys.setprofile(note)
