"""Whether Docker can be used is asked of the real program; here a script plays it."""

from pathlib import Path

import pytest

from ops.runtime import docker_problem
from ops.shell import Shell

ENGINE = """case "$1" in compose) echo v2.26.1;; info) echo 26.1.5;; esac"""
NO_ENGINE = """case "$1" in compose) echo v2.26.1;; info) echo "Cannot connect" >&2; exit 1;; esac"""


@pytest.mark.parametrize(
    ("script", "problem"), [(ENGINE, None), (NO_ENGINE, "no Docker engine answers: Cannot connect")]
)
def test_the_engines_answer_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    script: str,
    problem: str | None,
):
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker_problem(Shell(tmp_path)) == problem
    assert capfd.readouterr() == ("", "")
