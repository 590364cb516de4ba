"""What may be typed: every command in a dry run, errors that say what to do."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops import cli, environment
from ops.commands import Commands
from ops.errors import OpsError
from ops.project import Project
from ops.report import as_json, as_table
from ops.runtime import ServiceStatus, active_file
from ops.services import SERVICES, add_needs, group_by_needs

ROOT = Path(__file__).parents[3]
EVERY_COMMAND = [
    ["start"],
    ["start", "--service", "assistant", "--replicas", "assistant=3"],
    ["stop"],
    ["stop", "--service", "tg_bot"],
    ["restart"],
    ["restart", "--service", "rest_service"],
    ["rebuild"],
    ["rebuild", "--service", "sandbox"],
    ["status"],
    ["status", "--json"],
    ["logs", "--service", "tg_bot"],
    ["logs", "-n", "5"],
    ["migrate", "a message"],
    ["upgrade"],
    ["test"],
    ["test", "--service", "ops", "--", "-x", "-k", "name"],
    ["chat", "--say", "hi"],
    ["export", "assistants.json"],
    ["owner"],
    ["rotate-keys"],
    ["rotate-keys", "--drop-old"],
    ["rotate-keys", "--forget"],
    ["lock"],
    ["lock", "--check"],
    ["dead", "list"],
    ["dead", "requeue", "queue:to_secretary", "--all"],
]


def run(argv: list[str], root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """One command in `root`, with the local runtime, as if typed there."""
    monkeypatch.setattr(cli, "__file__", str(root / "ops" / "cli.py"))
    at = argv.index("--") if "--" in argv else len(argv)
    return cli.main([*argv[:at], "--runtime", "local", *argv[at:]])


@pytest.mark.parametrize("name", [".env", ".local"])
def test_what_stands_in_the_way_is_named_in_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    shutil.copy(ROOT / ".env.example", tmp_path)
    if name == ".env":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("no folder")
    assert run(["start", "--dry-run"], tmp_path, monkeypatch) == 1
    said = capsys.readouterr().err
    assert said.startswith("manage.py: ")
    assert str(tmp_path / name) in said
    assert said.count("\n") == 1


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("argv", EVERY_COMMAND, ids=" ".join)
def test_a_dry_run_changes_nothing(argv: list[str], checkout: Path, monkeypatch: pytest.MonkeyPatch):
    before = files(checkout)
    at = argv.index("--") if "--" in argv else len(argv)
    assert run([*argv[:at], "--dry-run", *argv[at:]], checkout, monkeypatch) == 0
    assert files(checkout) == before


def test_a_dry_run_prints_the_commands_in_order(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run(["start", "--dry-run"], checkout, monkeypatch)
    printed = capsys.readouterr().out
    order = ["-m venv", "--require-hashes", "initdb", "supervisord -c", "start postgres redis"]
    order += ["rest_service.app.migrate", "start rest_service"]
    places = [printed.index(word) for word in order]
    assert places == sorted(places)
    assert all(line.startswith("$ ") for line in printed.splitlines())


def test_pytest_gets_what_stands_behind_the_dashes(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run(["test", "--service", "ops", "--dry-run", "--", "-k", "two words"], checkout, monkeypatch)
    assert capsys.readouterr().out.rstrip().endswith(" -m pytest -n 2 ops -k 'two words'")


@pytest.mark.parametrize(
    ("argv", "advice"),
    [
        (["start", "--replicas", "tg_bot=2"], "what can run more than once: assistant"),
        (["start", "--replicas", "assistant=none"], "expected NAME=N"),
        (["dead", "drop", "queue:to_secretary"], "--index N (or --all)"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    argv: list[str],
    advice: str,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert run([*argv, "--dry-run"], checkout, monkeypatch) != 0
    assert advice in capsys.readouterr().err


def test_a_broken_env_file_is_an_error_with_its_line(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (checkout / ".env").write_text("LOG_LEVEL=INFO\nthis is no setting\n")
    assert run(["status"], checkout, monkeypatch) == 1
    assert ".env, line 2" in capsys.readouterr().err


def test_chat_with_a_real_token_says_where_to_chat(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:real")
    assert run(["chat", "--dry-run"], checkout, monkeypatch) == 2
    assert "real Telegram" in capsys.readouterr().err


def test_status_json_is_the_contract(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(["status", "--json"], checkout, monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runtime"] == "local"
    assert set(found["services"]) == set(SERVICES)
    assert all(one == {"state": "stopped", "url": None, "pids": []} for one in found["services"].values())
    assert found["queues"] == {}


def test_status_shows_addresses_and_dead_letters():
    services = [ServiceStatus("tg_bot", "healthy", "http://127.0.0.1:8004", (7, 8))]
    depth = {"ready": 1, "lanes": 2, "processing": 3, "delayed": 4, "dead": 5, "more": 6}
    queues = {"queue:to_secretary": depth}
    assert as_json("docker", services, queues) == {
        "runtime": "docker",
        "services": {"tg_bot": {"state": "healthy", "url": "http://127.0.0.1:8004", "pids": [7, 8]}},
        "queues": {"queue:to_secretary": {name: depth[name] for name in list(depth)[:5]}},
    }
    table = as_table("docker", services, queues)
    assert "http://127.0.0.1:8004  7 8" in table
    assert "./manage.py dead list" in table


def test_services_stop_before_what_they_need():
    order = [name for group in reversed(group_by_needs(list(SERVICES))) for name in group]
    for name, service in SERVICES.items():
        assert all(order.index(name) < order.index(needed) for needed in service.needs)


def test_what_a_service_needs_comes_with_it():
    assert add_needs(["tg_bot"]) == ["postgres", "redis", "rest_service", "tg_bot"]
    assert add_needs([]) == list(SERVICES)


def test_the_suite_is_found_where_it_was_started(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.local.mkdir()
    active_file(project).write_text("local")
    args = cli._parser().parse_args(["status", "--dry-run"])
    assert Commands(project.root, args)._runtime(project).name == "local"


def test_a_second_runtime_is_refused_beside_a_running_one(project: Project, monkeypatch: pytest.MonkeyPatch):
    args = cli._parser().parse_args(["start", "--runtime", "local"])
    commands = Commands(project.root, args)
    running = [ServiceStatus("redis", "healthy")]
    monkeypatch.setattr("ops.commands.docker_problem", lambda _shell: None)
    monkeypatch.setattr("ops.docker_runtime.DockerRuntime.status", lambda _self: running)
    project.local.mkdir()
    active_file(project).write_text("docker")
    with pytest.raises(OpsError, match=r"runs in the docker runtime: ./manage.py stop first"):
        commands._runtime(project, changing=True)


def test_an_old_python_is_told_so(tmp_path: Path):
    """The file itself must stay readable for Python 3.6; what it then says is tried here."""
    script = (ROOT / "manage.py").read_text().replace("OLDEST = (3, 11)", "OLDEST = (3, 99)")
    (tmp_path / "manage.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "manage.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "needs Python 3.99 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_load_ignores_what_is_no_setting_of_the_suite(checkout: Path):
    project, _ = environment.load(checkout, dict(os.environ), write=False)
    assert "PATH" not in project.values


def test_a_stop_on_a_fresh_clone_installs_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    before = files(checkout)
    assert run(["stop"], checkout, monkeypatch) == 0
    assert files(checkout) == before


def test_looking_into_the_queues_of_a_fresh_clone_says_what_to_do(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(["dead", "list"], checkout, monkeypatch) == 1
    assert "nothing is installed yet: ./manage.py start" in capsys.readouterr().err


def test_a_locale_of_another_encoding_changes_nothing(tmp_path: Path):
    folder = tmp_path / "äpfel"
    shutil.copytree(ROOT / "ops", folder / "ops", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for name in ("manage.py", ".env.example", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    surroundings = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "manage.py", "start", "--runtime", "local", "--dry-run"],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "supervisord" in done.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_obstacle(tmp_path: Path, closed: str):
    shutil.copytree(ROOT / "ops", tmp_path / "ops", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for name in ("manage.py", ".env.example", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = f"{sys.executable} manage.py start --runtime local --dry-run {closed}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_an_env_file_that_others_can_read_is_closed_and_said(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    commands = Commands(checkout, argparse.Namespace(dry_run=False))
    commands._project(write=True)
    assert "read" not in capsys.readouterr().err
    (checkout / ".env").chmod(0o644)
    commands._project()
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o644, "a look changes nothing"
    commands._project(write=True)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    assert "now only you can read it" in capsys.readouterr().err
