"""supervisord's configuration: read by supervisord's own parser, secrets kept out, odd paths survived."""

import json
import os
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from ops import supervisor_config
from ops.errors import OpsError
from ops.launch import launch
from ops.local_servers import PostgresServer
from ops.programs import ProgramPlan
from ops.project import Project
from ops.python_env import PythonEnv
from ops.shell import Shell
from ops.supervisor import Supervisor
from ops.supervisor_config import Program, pid_file, render, socket_path, spec_file


def program(name: str, **changes: object) -> Program:
    fields: dict[str, object] = {
        "name": name,
        "service": name,
        "port": 8000,
        "argv": ["/bin/true"],
        "env": {"KEY": "top-secret"},
        "fingerprint": "abc",
        "cwd": "/",
    }
    return Program(**{**fields, **changes})  # type: ignore[arg-type]


def parsed(root: Path, programs: list[Program], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    run, logs = root / "run", root / "logs"
    for folder in (run, logs):
        folder.mkdir(parents=True)
    config = run / "supervisord.conf"
    config.write_text(
        render(programs, root=root, run=run, logs=logs, sock=run / "s.sock", python=root / "python", grace=45)
    )
    monkeypatch.chdir(root)  # as supervisord is started
    options = ServerOptions()
    options.realize(["-c", str(config)])
    return {
        process.name: process for group in options.process_group_configs for process in group.process_configs
    }


@pytest.mark.parametrize("folder", ["plain", "with space", "100% $HOME 'quoted'", "ünïcode"])
def test_supervisord_reads_it_wherever_the_checkout_lies(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / folder
    found = parsed(root, [program("assistant-0"), program("postgres", stop_signal="INT")], monkeypatch)
    assert set(found) == {"assistant-0", "postgres"}
    one = found["assistant-0"]
    assert shlex.split(one.command)[-1] == str(spec_file(root / "run", "assistant-0"))
    assert Path(root, one.stdout_logfile) == root / "logs" / "assistant-0.log"
    assert (one.autostart, one.stopwaitsecs) == (False, 45)
    assert found["postgres"].stopsignal == 2


def test_it_holds_no_secret(tmp_path: Path):
    text = render(
        [program("a")], root=tmp_path, run=tmp_path, logs=tmp_path, sock=tmp_path, python=tmp_path, grace=1
    )
    assert "top-secret" not in text


def test_another_fingerprint_is_another_configuration(tmp_path: Path):
    texts = {
        render(
            [program("a", fingerprint=fingerprint)],
            root=tmp_path,
            run=tmp_path,
            logs=tmp_path,
            sock=tmp_path,
            python=tmp_path,
            grace=1,
        )
        for fingerprint in ("x", "y", "y")
    }
    assert len(texts) == 2


def test_a_deep_checkout_gets_a_short_socket(tmp_path: Path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    path = socket_path(deep, "suite-abc123")
    assert len(str(path)) <= supervisor_config.MAX_SOCKET_PATH
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert socket_path(tmp_path, "suite-abc123") == tmp_path / "supervisor.sock"


def test_no_supervisor_is_no_pid_and_a_clear_error(tmp_path: Path):
    nobody = Supervisor(tmp_path / "none.sock")
    assert nobody.pid() is None
    with pytest.raises(OpsError, match="does not answer"):
        nobody.processes()


def test_a_second_start_leaves_a_program_alone_that_is_just_being_launched(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Both write files for the program at the same time: its pid, and its spec."""
    plan = ProgramPlan(project, PythonEnv(tmp_path), PostgresServer(project, Shell(tmp_path)), tmp_path)
    one = program("assistant-0", cwd=str(tmp_path))
    plan.write_specs([one])
    rename = Path.replace

    def start_meanwhile(source: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", rename)
        plan.write_specs([one])
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", start_meanwhile)
    monkeypatch.setattr(os, "umask", lambda _mask: 0)
    monkeypatch.setattr(os, "execve", lambda *_program: None)
    monkeypatch.chdir(tmp_path)
    spec = spec_file(tmp_path, one.name)

    launch(json.loads(spec.read_text()))

    assert pid_file(tmp_path, one.name).read_text() == str(os.getpid())
    assert json.loads(spec.read_text())["argv"] == ["/bin/true"]
