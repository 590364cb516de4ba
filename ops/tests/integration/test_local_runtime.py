"""supervisord with real PostgreSQL and Valkey: started, kept, recovered, stopped without a trace."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import psycopg2.errors
import pytest
import redis

from ops import embedded, environment, local_servers, orphans
from ops.errors import OpsError
from ops.local_runtime import LocalRuntime
from ops.project import Project
from ops.python_env import PythonEnvs
from ops.services import MIGRATION_MODULE
from ops.shell import Shell
from ops.supervisor import Supervisor, wait_until
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
SERVERS = ["postgres", "redis"]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout that PostgreSQL's account can reach, even when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="smart-assistant-ops-"))
    folder.chmod(0o755)
    monkeypatch.setattr(local_servers, "SYSTEM_HOME", folder / "system")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def runtime(folder: Path) -> Iterator[LocalRuntime]:
    """A runtime in a folder of its own, with the Python that runs the tests as its environment."""
    root = folder / "che$ck out"
    root.mkdir()
    for name in (".env.example", "ops"):
        (root / name).symlink_to(ROOT / name)
    made(root)
    _take_ports_of_its_own(root / ".env")
    runtime = made(root)
    venv = runtime.project.local / "venv"
    venv.mkdir(parents=True)
    key = PythonEnvs(runtime.shell, venv)._key("run")
    (venv / "run.json").write_text(json.dumps({"key": key, "folder": sys.prefix}))
    yield runtime
    with contextlib.suppress(OpsError):
        made(root).stop([])


def _take_ports_of_its_own(env_file: Path) -> None:
    """Other test runs on this machine choose among the usual ones at the same moment."""
    text = env_file.read_text()
    for name in ("POSTGRES_PORT", "REDIS_PORT"):
        text = re.sub(rf"(?m)^{name}=.*$", f"{name}={free_port()}", text)
    env_file.write_text(text)


def made(root: Path) -> LocalRuntime:
    project, _ = environment.load(root, {}, write=True)
    return LocalRuntime(project, Shell(root))


def pids(runtime: LocalRuntime) -> dict[str, int]:
    found = {one.name: one for one in runtime.status() if one.name in SERVERS}
    assert [one.state for one in found.values()] == ["healthy", "healthy"], found
    return {name: one.pids[0] for name, one in found.items()}


def supervisor_pid(runtime: LocalRuntime) -> int:
    return int((runtime.layout.run / "supervisord.pid").read_text())


def processes_of(root: Path) -> str:
    """Command lines of whatever runs from this folder."""
    if Path("/proc/self").exists():  # a slim container has no ps
        lines = [orphans.command_line(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")]
    else:
        listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
        lines = listed.splitlines()
    return "\n".join(line for line in lines if str(root) in line)


def test_a_second_start_keeps_what_runs_and_a_stop_leaves_nothing(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    first = pids(runtime)
    runtime.start(SERVERS, {})
    assert pids(runtime) == first
    runtime.stop([])
    assert {one.state for one in runtime.status()} == {"stopped"}
    assert processes_of(runtime.project.root) == ""
    runtime.stop([])  # harmless


def test_a_moved_checkout_starts_again_with_its_data(runtime: LocalRuntime, folder: Path):
    runtime.start(SERVERS, {})
    runtime.stop([])
    kept = runtime.project.local / "data" / "redis" / "kept"
    kept.touch()
    runtime.project.root.rename(folder / "mo$ved 'é")
    moved = made(folder / "mo$ved 'é")
    try:
        moved.start(SERVERS, {})
        pids(moved)
        assert (moved.project.local / "data" / "redis" / "kept").exists()
    finally:
        moved.stop([])


def test_a_changed_setting_restarts_only_what_it_concerns(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    before = pids(runtime)
    env = runtime.project.root / ".env"
    password = "REDIS_PASSWORD='new # \"pass\" wörd'\n"
    kept = [line for line in env.read_text().splitlines() if not line.startswith("REDIS_PASSWORD")]
    env.write_text("\n".join(kept) + "\n" + password)
    changed = made(runtime.project.root)
    changed.start(SERVERS, {})
    after = pids(changed)
    assert after["postgres"] == before["postgres"]
    assert after["redis"] != before["redis"]


def test_a_start_of_others_leaves_a_service_as_many_processes_as_it_has(runtime: LocalRuntime):
    main = runtime.project.root / "assistant" / "src" / "main.py"
    main.parent.mkdir(parents=True)
    main.write_text("import time\n\ntime.sleep(600)\n")
    runtime.start(SERVERS, {"assistant": 3})  # three are known then
    supervisor = Supervisor(runtime.layout.socket)
    for number in range(3):
        supervisor.start(f"assistant-{number}")
    before = assistants(supervisor)
    assert list(before) == ["assistant-0", "assistant-1", "assistant-2"]
    runtime.start(SERVERS, {})
    assert assistants(supervisor) == before


def assistants(supervisor: Supervisor) -> dict[str, int]:
    """Their pids; all of them are kept running."""
    found = {name: one for name, one in supervisor.processes().items() if name.startswith("assistant-")}
    assert all(one.wanted for one in found.values())
    return {name: found[name].pid for name in sorted(found)}


def test_a_new_database_password_over_old_data_is_no_trouble(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    runtime.stop([])
    (runtime.project.root / ".env").unlink()  # lost: the next start makes up new secrets
    fresh = made(runtime.project.root)
    fresh.start(SERVERS, {})
    migrate(fresh)
    with login(fresh, "POSTGRES_USER") as owner, login(fresh, "POSTGRES_API_USER") as api:
        assert owner.execute(ROLE).fetchone() == ("smart_assistant", False, False)
        assert api.execute(ROLE).fetchone() == ("smart_assistant_api", False, False)


ROLE = "SELECT rolname, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"


def migrate(runtime: LocalRuntime) -> None:
    for name in ("rest_service", "service_kit"):
        link = runtime.project.root / name
        if not link.exists():
            link.symlink_to(ROOT / name)
    done = runtime.run_in("rest_service", ["python", "-m", MIGRATION_MODULE], capture=True)
    assert done.returncode == 0, done.stderr


class Login:
    """A connection in autocommit that speaks to its cursor."""

    def __init__(self, project: Project, user: str, password: str) -> None:
        self._connection = psycopg2.connect(
            host="127.0.0.1",
            port=project.port("POSTGRES_PORT"),
            user=user,
            password=password,
            dbname=project.values["POSTGRES_DB"],
        )
        self._connection.autocommit = True

    def execute(self, statement: str) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(statement)
        return cursor

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def login(runtime: LocalRuntime, user: str) -> Iterator[Login]:
    values = runtime.project.values
    found = Login(runtime.project, values[user], values[user.replace("_USER", "_PASSWORD")])
    yield found
    found.close()


FORBIDDEN_TO_THE_API = [
    "DROP TABLE telegram_users",
    "ALTER TABLE telegram_users DISABLE TRIGGER ALL",
    "CREATE TABLE mine (id int)",
    "TRUNCATE telegram_users",
    "UPDATE alembic_version SET version_num = '0001'",
    "CREATE ROLE another",
    "COPY (SELECT 1) TO PROGRAM 'true'",
]


def test_the_api_reads_and_writes_rows_and_nobody_who_logs_in_is_a_superuser(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    migrate(runtime)
    migrate(runtime)  # again, over the role that is there
    with login(runtime, "POSTGRES_API_USER") as api, login(runtime, "POSTGRES_USER") as owner:
        api.execute("INSERT INTO telegram_users (telegram_id) VALUES (1)")
        api.execute("UPDATE telegram_users SET first_name = 'Ada'")
        assert api.execute("SELECT first_name FROM telegram_users").fetchall() == [("Ada",)]
        api.execute("DELETE FROM telegram_users")
        for statement in FORBIDDEN_TO_THE_API:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                api.execute(statement)
        superusers = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin"
        (superuser,) = owner.execute(superusers).fetchall()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            owner.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    with pytest.raises(psycopg2.OperationalError, match="password"):
        Login(runtime.project, superuser[0], runtime.project.values["POSTGRES_PASSWORD"])


def test_data_of_a_version_whose_role_was_the_superuser_is_taken_over(runtime: LocalRuntime):
    values = runtime.project.values
    server = local_servers.PostgresServer(runtime.project, runtime.shell)
    env = runtime._envs.ensure("run")
    local_servers.make_reachable(server.home)
    bin_dir = server.binaries(env)
    embedded.init_postgres(bin_dir, server.data, "smart_assistant", "old", server.account)
    server._run_alone(bin_dir, "postgres", ["CREATE DATABASE smart_assistant;"])
    made_then = [
        "CREATE TABLE old_table (id serial PRIMARY KEY, words text);",
        "CREATE SEQUENCE old_sequence;",
        "CREATE FUNCTION old_function() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        "INSERT INTO old_table (words) VALUES ('kept');",
    ]
    server._run_alone(bin_dir, "smart_assistant", made_then)
    runtime.start(SERVERS, {})
    migrate(runtime)
    with login(runtime, "POSTGRES_USER") as owner:
        assert owner.execute(ROLE).fetchone() == (values["POSTGRES_USER"], False, False)
        assert owner.execute("SELECT words FROM old_table").fetchall() == [("kept",)]
        for statement in ("DROP TABLE old_table", "DROP SEQUENCE old_sequence", "DROP FUNCTION old_function"):
            owner.execute(statement)


def test_a_wrong_password_is_refused_by_both_servers_and_both_listen_on_this_machine_alone(
    runtime: LocalRuntime,
):
    runtime.start(SERVERS, {})
    values = runtime.project.values
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        Login(runtime.project, values["POSTGRES_USER"], "wrong")
    for url in ("redis://:wrong@", "redis://assistant:wrong@", "redis://"):
        client = redis.Redis.from_url(f"{url}127.0.0.1:{runtime.project.port('REDIS_PORT')}")
        with pytest.raises(redis.AuthenticationError):
            client.get("x")
        client.close()
    for info in psutil.net_connections("tcp"):
        if info.laddr.port in {runtime.project.port("REDIS_PORT"), runtime.project.port("POSTGRES_PORT")}:
            assert info.laddr.ip == "127.0.0.1"


def test_after_supervisord_was_killed_a_start_recovers(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    before = pids(runtime)
    os.kill(supervisor_pid(runtime), signal.SIGKILL)
    astray = {one.name: one for one in runtime.status()}
    assert astray["redis"].state == "unhealthy"
    assert "without its supervisor" in astray["redis"].detail
    runtime.start(SERVERS, {})
    assert not set(pids(runtime).values()) & set(before.values())


def test_after_supervisord_was_killed_a_stop_leaves_nothing(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    os.kill(supervisor_pid(runtime), signal.SIGKILL)
    runtime.stop([])
    assert processes_of(runtime.project.root) == ""


def test_a_crashed_server_comes_back_by_itself(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    before = pids(runtime)["redis"]
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        [redis] = [one for one in runtime.status() if one.name == "redis"]
        return redis.state == "healthy" and before not in redis.pids

    wait_until(is_back, timeout=60, otherwise="redis does not come back")


def test_a_taken_port_is_named_with_its_variable(runtime: LocalRuntime):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", runtime.project.port("REDIS_PORT")))
        sock.listen()
        with pytest.raises(OpsError, match=r"is taken by .*\(pid \d+\)[^$]*REDIS_PORT"):
            runtime.start(SERVERS, {})


def test_a_server_that_cannot_start_shows_the_end_of_its_log(runtime: LocalRuntime):
    data = runtime.project.local / "data" / "redis"
    data.mkdir(parents=True)
    (data / "appendonlydir").mkdir()
    (data / "appendonlydir" / "appendonly.aof.manifest").write_text("no manifest\n")
    with pytest.raises(OpsError, match=r"(?s)redis ends again and again.*manifest.*manage.py start"):
        runtime.start(SERVERS, {})


def test_a_recycled_pid_is_left_alone(runtime: LocalRuntime):
    runtime.start(SERVERS, {})
    runtime.stop([])
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (runtime.layout.run / "redis.pid").write_text(str(stranger.pid))
        assert list(orphans.find(runtime.layout.run)) == []
        assert orphans.end(runtime.layout.run) == []
        assert stranger.poll() is None
        stranger.kill()


def test_files_of_another_account_are_left_alone(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(OpsError, match="belongs to"):
        runtime.start(SERVERS, {})


def test_a_project_of_root_that_others_cannot_enter_keeps_its_data_outside(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    if os.geteuid() != 0:
        pytest.skip("only root hands PostgreSQL to another account")
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    values = {"POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p", "POSTGRES_DB": "d", "COMPOSE_PROJECT_NAME": "n"}
    server = local_servers.PostgresServer(Project(hidden, values), Shell(hidden))
    assert server.data == folder / "system" / "n" / "postgres"
