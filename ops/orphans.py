"""Processes that outlived their supervisord (it was killed, say): found by recorded pids, and ended.

A pid may have been given to somebody else since; it counts only where its command line still begins
with the program that was recorded.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE = 15.0


@dataclass(frozen=True)
class Orphan:
    """A process on record that is alive."""

    name: str
    pid: int
    stop_signal: int


def find(run: Path) -> Iterator[Orphan]:
    """The recorded processes of the programs in `run` that live."""
    for spec_path in sorted(run.glob("*.json")):
        with suppress(OSError, ValueError, KeyError):  # no pid on record, or half a file
            spec = json.loads(spec_path.read_text(encoding="utf-8"))
            pid = int(Path(spec["pid_file"]).read_text(encoding="utf-8"))
            if _is_it(pid, spec["argv"], spec_path):
                yield Orphan(spec_path.stem, pid, getattr(signal, f"SIG{spec['stop_signal']}"))


def end(run: Path, *, grace: float = GRACE) -> list[str]:
    """Stop them gracefully, then by force; the names of those that were there."""
    found = list(find(run))
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process.pid, process.stop_signal)
    deadline = time.monotonic() + grace
    while list(find(run)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in find(run):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return [process.name for process in found]


def command_line(pid: int) -> str:
    """The arguments of a process, joined by spaces; empty where there is none."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    done = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=10,
    )
    return done.stdout.strip()


def _is_it(pid: int, argv: list[str], spec_path: Path) -> bool:
    """Whether `pid` is the program, or the launcher on its way to become it."""
    line = command_line(pid)
    return line.startswith(" ".join(argv)) or (str(spec_path) in line and "launch.py" in line)
