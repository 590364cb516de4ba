"""What a runtime can do, and which one is used.

`ops.local_runtime.LocalRuntime` runs the suite as processes under supervisord,
`ops.docker_runtime.DockerRuntime` as containers; both are made with `(project, shell)` and show
every command through `shell`, which in a dry run is all that happens.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ops.errors import OpsError
from ops.project import Project
from ops.shell import Shell

RuntimeName = Literal["docker", "local"]
State = Literal["healthy", "starting", "unhealthy", "stopped"]


TEST_WORKERS = 2
"""Processes that share the tests; docker-compose.test.yml has a Redis for each."""


def pytest_arguments(service: str | None, args: Sequence[str]) -> list[str]:
    """What follows `python -m pytest`; of two equal options in it the later one, the caller's, counts."""
    return ["-n", str(TEST_WORKERS), *([service] if service else []), *args]


@dataclass(frozen=True)
class ServiceStatus:
    """How one service is; of several replicas the worst state and all pids."""

    name: str
    state: State
    url: str | None = None
    """`http://127.0.0.1:PORT` where its port is published and speaks HTTP."""
    pids: Sequence[int] = field(default_factory=tuple)
    detail: str = ""
    """Why it is not healthy, in a few words."""


class Runtime(Protocol):
    """Runs the suite. `services` are names of `ops.services.SERVICES`; empty means all of them.

    Every method raises OpsError with a sentence that says what to do.
    """

    @property
    def name(self) -> RuntimeName:
        """Which one it is."""
        ...

    def start(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install or build what is missing, migrate, start and wait until all is healthy.

        Whatever is needed by `services` is started with them. Harmless where all runs; a changed setting
        restarts only what it changes. `replicas` names only services with more or fewer than one process;
        of a running service that `services` does not name, as many go on running as do.
        """
        ...

    def stop(self, services: Sequence[str]) -> None:
        """Stop; without `services` everything, and no process or container stays. Data stays."""
        ...

    def restart(self, services: Sequence[str]) -> None:
        """Stop and start again, keeping the number of replicas; wait until healthy."""
        ...

    def rebuild(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install or build anew, then start."""
        ...

    def status(self) -> list[ServiceStatus]:
        """All services of `ops.services.SERVICES`, in that order. Fast; changes nothing."""
        ...

    def logs(self, services: Sequence[str], *, follow: bool, lines: int) -> None:
        """Print the last `lines` lines of each, prefixed with the service; `follow` until interrupted."""
        ...

    def run_in(
        self, service: str, argv: Sequence[str], *, capture: bool = False, writable: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` (beginning with `python`) in the environment of `service`, whose servers run.

        `writable` are folders of the repository (relative) that the command writes new files to. The exit
        code is the caller's to judge.
        """
        ...

    def test(self, service: str | None, args: Sequence[str]) -> int:
        """Run the tests (of one service) on throw-away servers; `args` go to pytest. Its exit code."""
        ...


def docker_problem(shell: Shell) -> str | None:
    """Why Docker cannot be used, or None where `docker compose` v2 talks to a running engine."""
    # the plugin may be there without an engine, and an engine without the plugin
    for command, problem in (
        (["docker", "compose", "version"], "docker compose v2 is not installed"),
        (["docker", "info", "--format", "{{.ServerVersion}}"], "no Docker engine answers"),
    ):
        try:
            done = shell.run(command, capture=True, check=False, quiet=True, timeout=20)
        except OpsError as exc:
            return str(exc)
        if done.returncode != 0 or not done.stdout.strip():
            said = done.stderr.strip().splitlines()
            return f"{problem}{': ' + said[-1] if said else ''}"
    return None


def active_file(project: Project) -> Path:
    """Holds the name of the runtime that the suite was last started in, until it is stopped."""
    return project.local / "runtime"


def active_runtime(project: Project) -> RuntimeName | None:
    """The runtime the suite was started in, if it was not stopped since."""
    try:
        name = active_file(project).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    # a half-written file counts as none
    return "docker" if name == "docker" else "local" if name == "local" else None
