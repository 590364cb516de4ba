"""`python -IS ops/launch.py SPEC`: becomes the program that the JSON file SPEC describes.

supervisord starts every program through this, so that no secret stands in its configuration or in
an argument list, that PostgreSQL gives up root before it starts, and that the pid is on record should
supervisord itself be killed. The pid does not change: the program replaces this process.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def launch(spec: dict[str, Any]) -> None:
    """Record the pid, drop privileges, become the program."""
    record = Path(spec["pid_file"])
    fresh = record.with_suffix(".pid.new")  # the spec's writer, who may be at work, has another one
    fresh.write_text(str(os.getpid()), encoding="utf-8")
    fresh.replace(record)
    os.chdir(spec["cwd"])
    os.umask(0o077)
    if spec["account"] is not None:
        uid, gid = spec["account"]
        # groups and gid first: after setuid we may not change them any more
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.execve(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    launch(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
