"""The Docker runtime against a `docker` that notes what it is asked and plays an engine's answers."""

import json
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops import docker_runtime, envfile, ports
from ops.container_env import render
from ops.containers import parse, state_of
from ops.docker_runtime import DockerRuntime
from ops.errors import OpsError
from ops.project import Project
from ops.services import MIGRATION_MODULE, SERVICES
from ops.shell import Shell
from service_kit.testing.servers import free_port

FAKE_DOCKER = """#!/bin/sh
cd {home}
echo "$*" >> calls
env | sort > "environment of $1"
case "$*" in
  "ps "*) [ ! -s containers.json ] || echo id ;;
  "inspect "*) cat containers.json ;;
  *" logs "*) echo "the last words" ;;
  *" up "*) [ ! -f after-up.json ] || cp after-up.json containers.json; exit $(cat up-exit) ;;
  *" run "*) exit $(cat run-exit) ;;
esac
"""


def container(
    service: str, status: str = "running", health: str | None = "healthy", **more: object
) -> dict[str, object]:
    """An entry of `docker inspect`, as Docker 26 gives it, with what we read of it."""
    probe = {"Status": health, "Log": [{"ExitCode": 1, "Output": more.get("said", "")}]}
    running = status in ("running", "restarting")
    return {
        "Id": f"{service}-{more.get('number', 1)}",
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "RestartCount": more.get("restarts", 0),
        "State": {
            "Status": status,
            "Running": running,
            "Pid": 4711 if running else 0,
            "ExitCode": more.get("code", 0),
            **({"Health": probe} if health else {}),
        },
    }


ALL_HEALTHY = [container(name) for name in SERVICES] + [container("migrate", "exited", None)]


@dataclass
class Engine:
    """The fake engine's memory, in files."""

    home: Path
    values: dict[str, str] = field(default_factory=dict)

    def has(self, *containers: dict[str, object], file: str = "containers.json") -> None:
        (self.home / file).write_text(json.dumps(containers) if containers else "")

    def will(self, name: str, code: int) -> None:
        (self.home / f"{name}-exit").write_text(str(code))

    def runtime(self, *, dry_run: bool = False) -> DockerRuntime:
        return DockerRuntime(Project(self.home, self.values), Shell(self.home, dry_run=dry_run))

    @property
    def calls(self) -> list[str]:
        """What it was asked, but for the looking."""
        lines = (self.home / "calls").read_text().splitlines() if (self.home / "calls").exists() else []
        return [line for line in lines if not line.startswith(("ps ", "inspect "))]

    @property
    def environment(self) -> dict[str, str]:
        """What the last `docker compose` saw."""
        lines = (self.home / "environment of compose").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def env_file(self, service: str) -> dict[str, str]:
        """What a container of `service` would get."""
        return envfile.values(envfile.read(self.home / ".local" / "env" / f"{service}.env"))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(FAKE_DOCKER.format(home=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(docker_runtime, "POLL", 0.01)
    values = {service.port_variable: str(free_port()) for service in SERVICES.values()}
    result = Engine(
        tmp_path,
        {
            **values,
            "COMPOSE_PROJECT_NAME": "ours",
            "TEST_DB_PORT": "5433",
            "LOG_LEVEL": "",
            "SERVICE_API_KEY": "k",
            "REDIS_PASSWORD": "r",
            "POSTGRES_API_USER": "api",
            "POSTGRES_API_PASSWORD": "p",
        },
    )
    result.has()
    result.has(*ALL_HEALTHY, file="after-up.json")
    result.will("up", 0)
    result.will("run", 0)
    return result


def test_start_builds_then_brings_up_what_is_asked_for(engine: Engine):
    engine.runtime().start([], {"assistant": 3})

    build, up = engine.calls
    assert build == "compose build " + " ".join(name for name, service in SERVICES.items() if service.module)
    options = "--detach --no-build --remove-orphans --scale assistant=3"
    assert up == f"compose --progress quiet up {options} {' '.join(SERVICES)}"


def test_a_single_service_comes_with_what_it_needs_and_the_sandbox_it_talks_to(engine: Engine):
    engine.runtime().start(["assistant"], {})

    assert engine.calls[-1].endswith(" postgres redis rest_service assistant sandbox")


def test_with_keys_for_everything_the_sandbox_stays_out(engine: Engine):
    engine.values |= {"TELEGRAM_TOKEN": "1:t", "OPENAI_API_KEY": "k", "GOOGLE_CLIENT_ID": "c"}
    engine.has(*(entry for entry in ALL_HEALTHY if entry["Id"] != "sandbox-1"), file="after-up.json")

    engine.runtime().start([], {})

    assert all("sandbox" not in call for call in engine.calls)
    assert "TELEGRAM_API_URL" not in engine.env_file("tg_bot")


def test_without_keys_the_services_are_pointed_at_the_sandbox_in_the_network(engine: Engine):
    engine.runtime().start([], {})

    assert engine.env_file("tg_bot")["TELEGRAM_API_URL"] == "http://sandbox:8010/telegram"
    calendar = engine.env_file("google_calendar_service")
    assert calendar["GOOGLE_AUTH_URL"].startswith(f"http://127.0.0.1:{engine.values['SANDBOX_PORT']}/")
    assert "LOG_LEVEL" not in calendar


def test_compose_reads_the_names_and_ports_from_us_and_no_file_of_its_own(engine: Engine):
    engine.runtime().start([], {})

    seen = engine.environment
    assert seen["COMPOSE_PROJECT_NAME"] == "ours"
    assert seen["COMPOSE_DISABLE_ENV_FILE"] == "1"
    assert seen["REST_SERVICE_PORT"] == engine.values["REST_SERVICE_PORT"]
    assert "SERVICE_API_KEY" not in seen


def test_the_env_files_are_the_owners_alone_and_those_of_services_that_are_gone_are_removed(engine: Engine):
    folder = engine.home / ".local" / "env"
    folder.mkdir(parents=True)
    (folder / "weather_service.env").write_text("OPENAI_API_KEY=of old")

    engine.runtime().logs([], follow=False, lines=1)

    names = {path.name for path in folder.iterdir()}
    assert names == {f"{service}.env" for service in (*SERVICES, "migrate")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_folder_of_the_local_data_holds_the_env_files(engine: Engine):
    engine.values["LOCAL_DATA_DIR"] = "elsewhere"

    engine.runtime().stop([])

    assert (engine.home / "elsewhere" / "env" / "assistant.env").exists()
    assert engine.environment["LOCAL_DATA_DIR"] == "elsewhere"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain-1.2_3/x=", "A=plain-1.2_3/x="),
        ("two words # and more", 'A="two words # and more"'),
        ("cost$5 ${HOME}", r'A="cost\$5 \${HOME}"'),
        ('it\'s "so"', r'A="it' + "'" + r's \0042so\0042"'),
        ("back\\slash\\", r'A="back\\slash\\"'),
        ("two\nlines", r'A="two\nlines"'),
    ],
)
def test_a_value_in_an_env_file_reaches_the_container_as_it_is(value: str, line: str):
    assert render("A", value) == line  # as compose reads it: tried with `docker compose config`


def test_an_address_on_this_machine_is_the_machine_in_a_container_too(engine: Engine):
    engine.values |= {
        "OPENAI_BASE_URL": "http://localhost:11434/v1",
        "TELEGRAM_API_URL": "http://127.0.0.1:81",
    }
    engine.values |= {"ASYNC_DATABASE_URL": "postgresql+asyncpg://me:localhost@127.0.0.1/db"}

    engine.runtime().start([], {})

    assert engine.env_file("assistant")["OPENAI_BASE_URL"] == "http://host.docker.internal:11434/v1"
    assert engine.env_file("tg_bot")["TELEGRAM_API_URL"] == "http://host.docker.internal:81"
    database = engine.env_file("rest_service")["ASYNC_DATABASE_URL"]
    assert database == "postgresql+asyncpg://me:localhost@host.docker.internal/db"


def test_a_taken_port_is_named_with_its_setting_before_anything_is_built(engine: Engine):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        engine.values["SANDBOX_PORT"] = str(port)
        with pytest.raises(OpsError, match=f"port {port} is taken.*set SANDBOX_PORT in .env"):
            engine.runtime().start([], {})
    assert engine.calls == []


def test_a_port_taken_while_the_images_were_built_is_named_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    engine.will("up", 1)
    engine.has(container("postgres"), file="after-up.json")
    monkeypatch.setattr(
        ports, "is_free", lambda _port: not any("up" in call.split() for call in engine.calls)
    )

    with pytest.raises(OpsError, match=r"is taken.*set REST_SERVICE_PORT in .env"):
        engine.runtime().start([], {})


def test_a_port_taken_by_our_own_container_is_no_trouble(engine: Engine):
    engine.has(*ALL_HEALTHY)
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        engine.values["SANDBOX_PORT"] = str(ours.getsockname()[1])
        engine.runtime().start([], {})
    assert any(" up " in call for call in engine.calls)


def test_a_failed_migration_is_shown_with_its_last_lines(engine: Engine):
    engine.will("up", 1)
    engine.has(container("postgres"), container("migrate", "exited", None, code=3), file="after-up.json")

    with pytest.raises(OpsError) as raised:
        engine.runtime().start([], {})

    assert "migrate (exited with exit code 3)" in str(raised.value)
    assert "The last lines of migrate:\nthe last words" in str(raised.value)


def test_a_failed_up_is_a_failure_even_where_everything_still_runs(engine: Engine):
    engine.has(*ALL_HEALTHY)
    engine.will("up", 1)
    with pytest.raises(OpsError, match="docker compose could not start the suite"):
        engine.runtime().start([], {})


def test_a_service_that_keeps_ending_fails_the_start_at_once(engine: Engine):
    crashing = container("tg_bot", "restarting", "starting", restarts=3, code=1)
    others = [entry for entry in ALL_HEALTHY if entry["Id"] != "tg_bot-1"]
    engine.has(*others, crashing, file="after-up.json")

    with pytest.raises(OpsError, match=r"tg_bot \(restarting with exit code 1\)"):
        engine.runtime().start([], {})


def test_a_service_that_used_to_crash_may_come_up_now(engine: Engine):
    engine.has(container("tg_bot", "restarting", "starting", restarts=50, code=1))
    now = [container("tg_bot", restarts=51) if e["Id"] == "tg_bot-1" else e for e in ALL_HEALTHY]
    engine.has(*now, file="after-up.json")

    engine.runtime().start([], {})

    assert " up " in engine.calls[-1]


def test_what_an_unhealthy_service_says_of_itself_is_shown(engine: Engine):
    sick = container("assistant", health="unhealthy", said="redis: no answer in 3 s\n")
    engine.has(sick, *(e for e in ALL_HEALTHY if e["Id"] != "assistant-1"), file="after-up.json")

    with pytest.raises(OpsError, match=r"assistant \(redis: no answer in 3 s\)"):
        engine.runtime().start([], {})


def test_stop_removes_all_containers_and_keeps_the_volumes(engine: Engine):
    engine.runtime().stop([])
    assert engine.calls == ["compose down --remove-orphans"]


def test_stop_of_one_service_leaves_the_others(engine: Engine):
    engine.runtime().stop(["tg_bot"])
    assert engine.calls == ["compose rm --stop --force tg_bot"]


def test_numbers_of_services_that_are_not_started_are_not_told_to_compose(engine: Engine):
    engine.has(*ALL_HEALTHY, container("assistant", number=2), container("assistant", number=3))

    engine.runtime().start(["rest_service"], {"assistant": 5})
    engine.runtime().restart(["rest_service"])

    ups = [call for call in engine.calls if " up " in call]
    assert len(ups) == 2
    assert all("assistant" not in call for call in ups)


def test_restart_keeps_the_replicas(engine: Engine):
    engine.has(*ALL_HEALTHY, container("assistant", number=2))

    engine.runtime().restart(["assistant"])

    assert engine.calls[0] == "compose rm --stop --force assistant"
    assert "--scale assistant=2" in engine.calls[1]


def test_rebuild_uses_no_cached_layer(engine: Engine):
    engine.runtime().rebuild(["tg_bot"], {})
    assert engine.calls[0] == "compose build --no-cache tg_bot"


def test_status_lists_every_service_in_order(engine: Engine):
    engine.has(container("rest_service"), container("tg_bot", health="starting"))

    statuses = engine.runtime().status()

    assert [status.name for status in statuses] == list(SERVICES)
    by_name = {status.name: status for status in statuses}
    assert by_name["rest_service"].url == f"http://127.0.0.1:{engine.values['REST_SERVICE_PORT']}"
    assert by_name["rest_service"].pids == (4711,)
    assert (by_name["tg_bot"].state, by_name["tg_bot"].url) == ("starting", None)
    assert (by_name["sandbox"].state, by_name["sandbox"].url) == ("stopped", None)


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        (container("redis"), "healthy"),
        (container("redis", health=None), "healthy"),
        (container("redis", health="starting"), "starting"),
        (container("redis", health="unhealthy"), "unhealthy"),
        (container("redis", "created", "starting"), "starting"),
        (container("redis", "restarting", "starting", code=1), "unhealthy"),
        (container("redis", "paused"), "unhealthy"),
        (container("redis", "exited", "unhealthy", code=137), "stopped"),
        (container("redis", "dead", None), "stopped"),
    ],
)
def test_the_engines_words_become_ours(entry: dict[str, object], state: str):
    assert parse(entry).state == state


def test_a_service_is_as_well_as_its_worst_replica():
    replicas = [parse(container("assistant")), parse(container("assistant", health="unhealthy", said="no"))]
    assert state_of(replicas) == ("unhealthy", "no")


def test_a_command_runs_beside_the_service(engine: Engine):
    engine.has(*ALL_HEALTHY)
    engine.runtime().run_in("rest_service", ["python", "-m", "x"])
    assert engine.calls == ["compose exec -T rest_service python -m x"]


def test_what_writes_files_runs_on_the_checkouts_code_as_its_owner(engine: Engine):
    engine.has(*ALL_HEALTHY)
    folder = "rest_service/alembic/versions"

    engine.runtime().run_in("rest_service", ["python", "-m", "alembic"], writable=[folder])

    (call,) = engine.calls
    assert call.startswith("compose run --rm --no-deps -T --user ")
    assert f"--volume {engine.home}/rest_service:/app/rest_service:ro" in call
    assert f"--volume {engine.home}/{folder}:/app/{folder} rest_service python" in call


def test_a_migration_runs_on_the_checkouts_code_whatever_runs(engine: Engine):
    engine.has(*ALL_HEALTHY)
    engine.runtime().run_in("rest_service", ["python", "-m", MIGRATION_MODULE])
    assert "compose run --rm " in engine.calls[0]
    assert f"--volume {engine.home}/rest_service:/app/rest_service:ro" in engine.calls[0]


def test_tests_run_in_a_project_of_their_own_that_is_removed_whatever_happens(engine: Engine):
    engine.will("run", 5)

    assert engine.runtime().test("tg_bot", ["-x"]) == 5

    build, run, down = engine.calls
    assert build == "compose --file docker-compose.test.yml build"
    assert " run --rm tests python -m pytest -m not e2e and not browser " in run
    assert run.endswith(" tg_bot -x")
    assert " down --volumes --remove-orphans" in down
    assert engine.environment["COMPOSE_PROJECT_NAME"] == "ours-test"


def test_a_dry_run_changes_nothing(engine: Engine, capsys: pytest.CaptureFixture[str]):
    runtime = engine.runtime(dry_run=True)
    runtime.start([], {})
    runtime.restart(["tg_bot"])
    runtime.stop([])
    runtime.logs(["tg_bot"], follow=True, lines=5)
    runtime.run_in("rest_service", ["python", "-V"])
    runtime.test(None, [])

    assert engine.calls == []
    assert not (engine.home / ".local").exists()
    shown = capsys.readouterr().out.splitlines()
    assert "$ docker compose down --remove-orphans" in shown
    assert "$ docker compose logs --tail 5 --follow tg_bot" in shown
